"""`python -m studio.schema > experiments/schema.json`: what editors know about experiment files."""

import json

from lab.config import json_schema
from studio.cli import JOBS, models


def schema_text() -> str:
    """The text of experiments/schema.json."""
    return json.dumps(json_schema(models(JOBS)), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
