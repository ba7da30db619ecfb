"""The supplement: the few forced trials that close the gaps an audit finds."""
