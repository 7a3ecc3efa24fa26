collect_ignore = ["inside"]  # for the machine: boot.py takes them there
