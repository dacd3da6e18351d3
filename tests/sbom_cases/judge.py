"""Judges bills of materials by the libraries of SPDX, CycloneDX and package URLs, and says what these read in them.

    judge.py spdx FILE...         by spdx-tools, and what it writes of what it read must be the same document
    judge.py cyclonedx FILE...    by the JSON schema that cyclonedx-python-lib carries

Writes JSON, for each file: "problems", and "packages", each with the parts of its package URL as packageurl-python takes it apart.
"""

import json
import sys

from packageurl import PackageURL


def purl(text, problems):
    """The parts of a package URL, which must be in the canonical form."""
    url = PackageURL.from_string(text)
    if url.to_string() != text:
        problems.append(f"{text} is written {url.to_string()}")
    return {"type": url.type, "namespace": url.namespace, "name": url.name, "version": url.version, "qualifiers": url.qualifiers}


def same(path, ours, theirs, problems):
    """Note where two values differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs}):
            same(f"{path}.{key}", ours.get(key), theirs.get(key), problems)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs)):
            same(f"{path}[{index}]", one, other, problems)
    # A name that ends with brackets has no address; spdx-tools reads it so, and writes it in a way that it would read as one.
    elif path.endswith(".supplier") and ours == f"{theirs} ()":
        pass
    # spdx-tools writes the word as SPDX 2.2 had it; clause 7.21 and the JSON schema of 2.3 have the hyphen.
    elif ours != theirs and (ours, theirs) != ("PACKAGE-MANAGER", "PACKAGE_MANAGER"):
        problems.append(f"{path} is {ours!r}, and was read as {theirs!r}")


def spdx(path):
    from spdx_tools.spdx.jsonschema.document_converter import DocumentConverter
    from spdx_tools.spdx.model import RelationshipType
    from spdx_tools.spdx.parser.error import SPDXParsingError
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

    try:
        document = parse_file(path)
    except SPDXParsingError as error:
        return {"problems": error.get_messages(), "packages": []}
    problems = [message.validation_message for message in validate_full_spdx_document(document, "SPDX-2.3")]
    with open(path, encoding="utf-8") as file:
        same("document", json.load(file), DocumentConverter().convert(document), problems)
    related = {kind: [] for kind in RelationshipType}
    for relationship in document.relationships:
        related[relationship.relationship_type].append((relationship.spdx_element_id, relationship.related_spdx_element_id))
    (described,) = related.pop(RelationshipType.DESCRIBES)
    contained = related.pop(RelationshipType.CONTAINS)
    system, *packages = document.packages
    if described != ("SPDXRef-DOCUMENT", system.spdx_id) or contained != [(system.spdx_id, package.spdx_id) for package in packages]:
        problems.append("the system does not contain each package")
    if any(related.values()):
        problems.append("there are other relationships")
    licenses = {license.license_id: license.extracted_text for license in document.extracted_licensing_info}
    found = []
    for package in packages:
        (reference,) = package.external_references
        declared = str(package.license_declared)
        found.append({
            "purl": purl(reference.locator, problems), "name": package.name, "version": package.version,
            "license": None if declared == "NOASSERTION" else licenses.get(declared, declared), "summary": package.summary,
            "homepage": package.homepage, "supplier": package.supplier and package.supplier.name,
            "source": package.source_info and package.source_info.removeprefix("built from "), "comment": package.comment,
        })
    return {"problems": problems, "packages": found}


def cyclonedx(path):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    with open(path, encoding="utf-8") as file:
        text = file.read()
    problems = [repr(error.data) for error in JsonStrictValidator(SchemaVersion.V1_6).validate_str(text, all_errors=True) or ()]
    if problems:
        return {"problems": problems, "packages": []}
    components = json.loads(text)["components"]
    references = [component.get("bom-ref") for component in components]
    if len({*references}) < len(references):
        problems.append("a bom-ref is not unique")
    found = []
    for component in components:
        (license,) = component.get("licenses", [None])
        (homepage,) = component.get("externalReferences", [{"url": None}])
        properties = {entry["name"].removeprefix("goldsmith:"): entry["value"] for entry in component.get("properties", [])}
        found.append({
            "purl": purl(component["purl"], problems), "name": component["name"], "version": component.get("version"),
            "license": license and (license.get("expression") or license["license"]["name"]), "summary": component.get("description"),
            "homepage": homepage["url"], "supplier": component.get("supplier", {}).get("name"), "source": properties.get("source"),
            "properties": properties,
        })
    return {"problems": problems, "packages": found}


judge = {"spdx": spdx, "cyclonedx": cyclonedx}[sys.argv[1]]
json.dump([judge(path) for path in sys.argv[2:]], sys.stdout)
