import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # loopback.py beside these tests; importlib mode adds no path of its own
