"""Outside XML, made safe before anything reads it.

A first pass with expat refuses document types (and with them every entity, so that neither an XML
bomb nor an external entity can be told), processing instructions and anything past the bounds.
Only then a tree is built, by a parser that would resolve nothing anyway.
"""

from typing import Any, Final, NoReturn
from xml.parsers import expat

from lxml import etree

from koolflows.engine.errors import DiagramRefused, Finding

MAX_FILE_BYTES: Final = 512 * 1024
MAX_ELEMENTS: Final = 5000
MAX_DEPTH: Final = 40
MAX_ATTRIBUTES: Final = 40


def parse(content: bytes, file: str) -> Any:  # noqa: ANN401  # lxml ships no types.
    """Return the root element of a file; raises `DiagramRefused`."""
    if len(content) > MAX_FILE_BYTES:
        _refuse(
            "xml.too-large",
            f"The file has {len(content)} octets; at most {MAX_FILE_BYTES} are read.",
            file,
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _refuse("xml.not-utf8", f"The file is not UTF-8 at octet {error.start}.", file)
    _look_through(text, file)
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        return etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        _refuse("xml.malformed", f"The file is not well-formed XML: {error}.", file)


def _refuse(code: str, detail: str, file: str, line: int = 0) -> NoReturn:
    raise DiagramRefused([Finding(code, detail, file, line)])


def _look_through(text: str, file: str) -> None:
    """Read the whole text once without building anything; raises at the first forbidden thing."""
    parser = expat.ParserCreate(encoding="utf-8")
    depth = elements = 0

    def doctype(*_: object) -> NoReturn:
        _refuse(
            "xml.doctype",
            "A document type declaration came. BPMN has no use for one, and it could hide "
            "entities: remove it.",
            file,
            parser.CurrentLineNumber,
        )

    def instruction(*_: object) -> NoReturn:
        _refuse(
            "xml.instruction",
            "A processing instruction came, which BPMN has no use for: remove it.",
            file,
            parser.CurrentLineNumber,
        )

    def start(_name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, elements
        depth += 1
        elements += 1
        if depth > MAX_DEPTH or elements > MAX_ELEMENTS or len(attributes) > MAX_ATTRIBUTES:
            _refuse(
                "xml.too-large",
                f"The file has more than {MAX_ELEMENTS} elements, {MAX_DEPTH} levels or "
                f"{MAX_ATTRIBUTES} attributes on one element.",
                file,
                parser.CurrentLineNumber,
            )

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    parser.StartDoctypeDeclHandler = doctype
    parser.EntityDeclHandler = doctype
    parser.ExternalEntityRefHandler = doctype
    parser.ProcessingInstructionHandler = instruction
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    try:
        parser.Parse(text.encode(), True)  # noqa: FBT003  # expat's own signature.
    except (expat.ExpatError, ValueError) as error:
        _refuse(
            "xml.malformed",
            f"The file is not well-formed XML: {error}.",
            file,
            getattr(error, "lineno", 0),
        )
