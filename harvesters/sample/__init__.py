"""A kabupaten that does not exist: seeded, generated data and a small upstream server for it.

It lets the first run show the real road without a network. All of it is invented, lies in open sea
south of Java, bears codes of a province (99) that no decree knows, and says "contoh sintetis".
"""
