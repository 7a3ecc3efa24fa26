import sys
from pathlib import Path

import six

assert six.PY3
print(Path(sys.argv[1]).read_text().upper(), end='')
