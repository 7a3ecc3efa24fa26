x = 1

# /// script
# dependencies = [
#   'six'
# requires-python = 3
# ///
