import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import spct

HEAVY = (
    "torch transformers openvino openvino_genai xllamacpp vllm ray aiohttp numpy pyarrow fastapi starlette uvicorn pydantic "
    "prometheus_client huggingface_hub gguf rich click matplotlib"
).split()
PUBLIC = (
    "GRM GRMJudge Capabilities Engine Item ItemError JudgeSettings Judgment Message Problem Run Sample SampleBatch SampleRequest "
    "SamplingSettings Template Tool ToolCall Trajectory Usage Verdict errors load_engine load_template read_items vote"
).split()


def test_importing_spct_loads_what_is_asked_for():
    code = "import sys; import spct; print([name for name in sys.modules if name.startswith('spct.')], spct.Item, dir(spct)[0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] <class 'spct.types.Item'> Capabilities"


def test_the_public_names_are_light():
    code = "import spct, sys; [getattr(spct, name) for name in spct.__all__ if name != 'Run']; "
    code += f"print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("missing", ["fcntl", "uvloop"])
def test_importing_spct_works_where_the_platform_has_no(missing):
    code = f"import sys; sys.modules[{missing!r}] = None; import spct, spct.cli.judge, spct.engines.openai"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_public_names():
    assert set(spct.__all__) == set(PUBLIC)
    assert all(hasattr(spct, name) for name in spct.__all__)


def test_every_error_is_also_the_builtin_a_caller_would_catch():
    errors = spct.errors
    assert issubclass(errors.InputError, ValueError)
    assert issubclass(errors.TemplateError, ValueError)
    assert issubclass(errors.EngineUnreachableError, ConnectionError)
    assert issubclass(errors.EngineAuthError, PermissionError)
    assert issubclass(errors.EngineMissingError, ImportError)
    assert issubclass(errors.RunError, OSError)
    assert issubclass(errors.WeightsError, OSError)
    everything = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert all(issubclass(kind, errors.SpctError) for kind in everything)


def test_the_version_stands_in_one_place_and_has_its_changes():
    root = Path(__file__).parent.parent
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    assert f"\n## {version} " in (root / "CHANGELOG.md").read_text()
    code = [path for path in (root / "src").rglob("*.py") if f'"{version}"' in path.read_text()]
    assert code == []
