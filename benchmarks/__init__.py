"""Rates of the parts whose speed matters, each against a peer and the machine's limit.

Run all with `make bench`, or some with `python -m benchmarks bank [--quick]`.

How to read the figures. A rate alone says nothing on a machine that others use as well, so every
figure comes with what the same machine did in the same run on the same arithmetic: a plain matrix
product (`peer`), or reading the same bytes (`limit`). Contenders alternate, and of each the best
turn counts: noise only ever slows down. A ratio of 1.00 is the peer's or the limit's own speed.
The last line on stdout is JSON with all figures.
"""
