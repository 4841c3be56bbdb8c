"""What importing the client and the adapters loads, and what it says without its one extra package."""

import subprocess
import sys

NAMES = "client adapters.trl adapters.verl adapters.openrlhf adapters.nemo adapters.best_of_n".split()


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_the_client_and_the_adapters_import_no_more_than_the_client_needs():
    heavy = "fastapi starlette uvicorn torch transformers trl verl openrlhf ray numpy datasets".split()
    code = f"import sys\nfor name in {NAMES}: __import__('spct.' + name)\n"
    code += f"print([name for name in {heavy} if name in sys.modules])"
    assert run(code).stdout.strip() == "[]"


def test_without_pydantic_they_say_what_to_install():
    for name in NAMES:
        done = run(f"import sys\nsys.modules['pydantic'] = None\nimport spct.{name}")
        assert done.stderr.strip().endswith("rewards need the package pydantic: pip install 'spct[client]'"), name
