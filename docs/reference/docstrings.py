"""
Docstrings in epytext, as docutils trees.
"""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from textwrap import dedent
from typing import Any

from docutils import nodes
from pydoctor.epydoc.markup import Field, ParsedDocstring, ParseError
from pydoctor.epydoc.markup.epytext import parse_docstring
from sphinx.addnodes import pending_xref
from sphinx.util import logging

from .names import address, find, isOurs, made, moduleOf

#: Epytext's fields, with their names in Sphinx.
FIELDS = {"return": "returns", "raise": "raises"}
VARIABLES = {"ivar", "cvar"}

logger = logging.getLogger(__name__)


class Public:
    """
    The public names.

    @ivar names: for each described object, by its name where it is defined, the module and the name
        under which it is described.
    """

    def __init__(self, modules: list[str]) -> None:
        self.names: dict[str, tuple[str, str]] = {}
        for module in modules:
            self.names[module] = module, ""
            for name in import_module(module).__all__:
                thing = getattr(import_module(module), name)
                self.names.setdefault(made(thing, f"{module}.{name}"), (module, name))

    def only(self, name: str) -> str | None:
        """
        Find a name that a docstring uses and its module does not import.

        @return: L{None} if there is none, or several.
        """
        first, *rest = name.split(".")
        made = [full for full, (_, public) in self.names.items() if public == first]
        return ".".join([*made, *rest]) if len(made) == 1 else None

    def described(self, name: str) -> str | None:
        """
        The name under which an object is described; L{None} if it is not public.

        @param name: a name as returned by L{find}.
        """
        outer, inner = name, ""
        while outer not in self.names:
            outer, dot, last = outer.rpartition(".")
            if not dot:
                return None
            inner = f".{last}{inner}"
        # Another name of a public module is not public itself.
        if inner and outer in sys.modules:
            return None
        return ".".join(filter(None, self.names[outer])) + inner


class Docstring:
    """
    A docstring, as nodes.

    @ivar module: the module in which its names are looked up.
    @ivar owner: the class in which they are looked up first, if any.
    """

    def __init__(
        self, public: Public, name: str, thing: Any, text: str, module: Any, owner: Any = None
    ) -> None:
        self.public, self.name, self.owner = public, name, owner
        # It may be inherited from a class in another module.
        near = module.__name__ if owner is None else owner.__module__
        self.module = sys.modules[moduleOf(thing) if isOurs(moduleOf(thing)) else near]
        self.parts = [self._parse(text)]
        if isinstance(thing, type) and isOurs(moduleOf(thing.__init__)):
            self.parts.append(self._parse(inspect.cleandoc(thing.__init__.__doc__ or "")))
        self.fields = [field for part in self.parts for field in part.fields]
        self.fields.sort(key=lambda field: field.tag() == "since")

    def _parse(self, text: str) -> ParsedDocstring:
        errors: list[ParseError] = []
        try:
            parsed = parse_docstring(text, errors)
        except ParseError:
            parsed = parse_docstring("", [])
        for error in errors:
            logger.warning("%s: %s", self.name, error.descr(), once=True)
        return parsed

    def content(self) -> list[nodes.Node]:
        """
        Everything except the attributes.
        """
        content = [node for part in self.parts for node in self.body(part)]
        fields = [self._field(field) for field in self.fields if field.tag() not in VARIABLES]
        return [*content, nodes.field_list("", *fields)] if fields else content

    def _field(self, field: Field) -> nodes.field:
        name, argument = FIELDS.get(field.tag(), field.tag()), field.arg() or ""
        if name == "raises":
            found = self._find(argument) or argument
            argument = self.public.described(found) or found
        title = nodes.field_name("", f"{name} {argument}".strip())
        return nodes.field("", title, nodes.field_body("", *self.body(field.body())))

    def body(self, parsed: ParsedDocstring) -> list[nodes.Node]:
        """
        The text, with its links.
        """
        body = parsed.to_node().deepcopy()
        for link in list(body.findall(nodes.title_reference)):
            link.parent.replace(link, self._link(link["refuri"], link.astext()))
        for block in body.findall(nodes.literal_block):
            block.children = [nodes.Text(dedent(block.astext()))]
            block.rawsource = block.astext()
        return body.children

    def _find(self, target: str) -> str | None:
        found = find(target, self.module, self.owner) or self.public.only(target)
        if found is None or not (isOurs(found) or address(found)):
            logger.warning("%s: nothing is called %s", self.name, target, once=True)
            return None
        return found

    def _link(self, target: str, text: str) -> nodes.Node:
        literal = nodes.literal("", text)
        found = self._find(target)
        described = found and self.public.described(found)
        if described:
            return reference(described, literal)
        uri = found and address(found)
        return nodes.reference("", "", literal, refuri=uri, internal=False) if uri else literal


def reference(name: str, *content: nodes.Node) -> pending_xref:
    """
    Make a link to a described object.
    """
    kind = "mod" if name in sys.modules else "obj"
    return pending_xref("", *content, refdomain="py", reftype=kind, reftarget=name, refwarn=True)
