"""What tests share: the loops under test, leak counting, real peers on real sockets, recording protocols."""
