"""Several sources of the same trials."""

from tests.recovery.legacy_lines import CREATED, Collect, finish, log, start


def test_the_same_log_twice_is_one_study(collect: Collect) -> None:
    once = log(CREATED, start(0, 1), finish(0, 2))
    joined = collect(once + once)
    assert joined.trials == 1 and joined.accounting[0].repeated == 2
    assert collect(once, once).trials == 1
    assert collect(once, once.replace(b"\n", b"\r\n")).trials == 1
