#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "six",
# ]
#
# [tool.other]
# x = 1
# ///
import six

print(six.PY3)
