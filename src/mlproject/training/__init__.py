"""How one network is trained, with torch alone: who watches a training is a callback.

`train` trains on the device that the data lies on, `sharded.train` on several. What a study is,
its trials and their tracking, is not known here.
"""
