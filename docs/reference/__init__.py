"""
The pages of the API: Sphinx's autodoc, for docstrings in epytext.

autodoc finds the names and writes the signatures.  pydoctor's parser reads the docstrings; its
result is a docutils tree, from which Sphinx makes all pages.  So these pages look like the others,
and share their search and links.

    .. api:: twisted_sse.client

describes the names in C{__all__} of a module.  A name in several modules is described at the first
of them in C{api_modules}; the others link to that.
"""

from __future__ import annotations

import ast
import inspect
import sys
import typing
from enum import EnumMeta
from importlib import import_module
from pkgutil import walk_packages
from types import FunctionType, ModuleType
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import stringify_annotation
from zope.interface.interface import InterfaceClass

from .docstrings import VARIABLES, Docstring, Public, reference
from .names import OURS, address, find, isOurs, made, moduleOf

#: Objects that have their own docstring.
DESCRIBED = (type, FunctionType, property, classmethod, staticmethod)


class EpytextDirective(SphinxDirective):
    """
    The place of a docstring in the output of autodoc.
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """
        Insert the docstring; the attributes of a class are described as autodoc describes members.
        """
        name, thing, text = self.env.temp_data["epytext"][int(self.arguments[0])]
        module = sys.modules[self.env.ref_context["py:module"]]
        owner = getattr(module, self.env.ref_context.get("py:class") or "", None)
        docstring = Docstring(Public(self.config.api_modules), name, thing, text, module, owner)
        content = docstring.content()
        hints = typing.get_type_hints(thing) if isinstance(thing, type) else {}
        for field in docstring.fields:
            if field.tag() in VARIABLES:
                lines = [f".. py:attribute:: {field.arg()}"]
                if field.arg() in hints:
                    lines.append(f"   :type: {stringify_annotation(hints[field.arg()], 'smart')}")
                described = self.parse_text_to_nodes("\n".join(lines))
                described[-1][-1].extend(docstring.body(field.body()))
                content += described
        for node in (node for top in content for node in top.findall(nodes.Element)):
            node.document = self.state.document
        return content


class APIDirective(SphinxDirective):
    """
    Describes a module.
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """
        Link to names that are described elsewhere, and have autodoc describe the rest.
        """
        [module] = self.arguments
        public = Public(self.config.api_modules)
        content = self.parse_text_to_nodes(f".. automodule:: {module}")
        lines, links = [], nodes.bullet_list()
        for name in import_module(module).__all__:
            thing = getattr(import_module(module), name)
            full = made(thing, f"{module}.{name}")
            if public.names[full] == (module, name):
                lines += [f".. auto{_kind(thing)}:: {module}.{name}"]
                lines += ["   :no-value:"] if name in self.config.api_unions else []
                if isinstance(thing, type):
                    lines += ["   :members:", "   :inherited-members:"]
                    bases = [made(each, "") for each in thing.__bases__]
                    if all(address(each) or public.described(each) for each in bases):
                        lines += ["   :show-inheritance:"] if bases != ["object"] else []
                lines += [""]
            else:
                text = inspect.getdoc(thing) or ""
                doc = Docstring(public, full, thing, text, sys.modules[module])
                link = reference(public.described(full) or "", nodes.literal("", name))
                summary = doc.body(doc.parts[0])[0]
                links += nodes.list_item(
                    "", nodes.paragraph("", "", link, nodes.Text(": "), *summary)
                )
        if len(links):
            lead = "These can be imported from here, and are described where they belong:"
            content += [nodes.paragraph("", lead), links]
        return content + self.parse_text_to_nodes("\n".join(lines))


def _kind(thing: object) -> str:
    if isinstance(thing, type):
        return "exception" if issubclass(thing, BaseException) else "class"
    return "function" if inspect.isroutine(thing) else "data"


def processDocstring(
    app: Sphinx, what: str, name: str, thing: Any, options: object, lines: list[str]
) -> None:
    """
    Replace a docstring by a directive.
    """
    kept = app.env.temp_data.setdefault("epytext", [])
    kept.append((name, thing, "\n".join(lines)))
    lines[:] = [f".. epytext:: {len(kept) - 1}", ""]


def dropSignature(
    app: Sphinx, what: str, name: str, thing: Any, options: object, *signature: str | None
) -> tuple[str, None] | None:
    """
    Contracts and enumerations are not called.
    """
    isCalled = not (getattr(thing, "_is_protocol", False) or isinstance(thing, EnumMeta))
    return None if isCalled or not isinstance(thing, type) else ("", None)


def skipMember(
    app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: object
) -> bool | None:
    """
    Leave out members inherited from other packages, and fields: the class describes them.
    """
    isField = inspect.isdatadescriptor(thing) and not isinstance(thing, property)
    isMade = inspect.isroutine(thing) or isinstance(thing, property)
    isForeign = isMade and not isOurs(moduleOf(thing))
    return True if isField or isForeign or isinstance(thing, InterfaceClass) else None


def qualify(app: Sphinx, doctree: nodes.document) -> None:
    """
    Write out the names in signatures; otherwise Sphinx links to the nearest object of the same
    name: C{History.bytes} for C{bytes}.
    """
    public = Public(app.config.api_modules)
    for node in doctree.findall(pending_xref):
        if node.attributes.pop("refspecific", None) is not None:
            module = sys.modules.get(node.attributes.pop("py:module", None))
            node.attributes.pop("py:class", None)
            found = find(node["reftarget"], module)
            node["reftarget"] = (found and public.described(found)) or found or node["reftarget"]


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Node
) -> nodes.Node | None:
    """
    Find foreign names, and those that are described under another name.
    """
    if node.get("refdomain") != "py":
        return None
    found = find(node["reftarget"])
    uri = found and address(found)
    if uri:
        return nodes.reference("", "", content, refuri=uri, internal=False)
    page, inReference = node["refdoc"], node["refdoc"].startswith("api/")
    described = found and Public(app.config.api_modules).described(found)
    while described:
        resolved = env.domains["py"].resolve_xref(
            env, page, app.builder, "obj", described, node, content
        )
        if resolved is not None or not inReference:
            return resolved
        # A constant without a docstring is described by its class.
        described = described.rpartition(".")[0]
    # A signature may contain private names.
    return content if found and inReference else None


def check(app: Sphinx) -> None:
    """
    Read all docstrings, including those that are not shown.
    """
    public = Public(app.config.api_modules)

    def checkInside(name: str, thing: Any, module: ModuleType, owner: type | None) -> None:
        text = inspect.cleandoc(thing.__doc__ or "")
        Docstring(public, name, thing, text, module, owner).content()
        if isinstance(thing, (type, ModuleType)):
            for inner, each in list(vars(thing).items()):
                if isinstance(each, DESCRIBED) and moduleOf(each) == module.__name__:
                    inside = each if isinstance(each, type) else owner
                    checkInside(f"{name}.{inner}", each, module, inside)

    for name, module in list(sys.modules.items()):
        if isOurs(name):
            checkInside(name, module, module, None)


def importForTyping(app: Sphinx) -> None:
    """
    Make the imports that exist only for type checkers: annotations and docstrings need them.
    """
    package = import_module(OURS)
    for each in walk_packages(package.__path__, f"{OURS}."):
        if each.name.endswith("__main__"):
            continue
        module = import_module(each.name)
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                code = ast.Module(node.body, [])
                exec(compile(code, module.__name__, "exec"), vars(module))
        for name, thing in list(vars(module).items()):
            # Sphinx writes the name of a type, if it looks like one.
            if isinstance(thing, InterfaceClass):
                thing.__qualname__ = thing.__name__
            # A union has no name.
            if name in app.config.api_unions:
                home, _, public = app.config.api_unions[name].rpartition(".")
                vars(module)[name] = union = typing.NewType(public, object)
                union.__module__ = home


def setup(app: Sphinx) -> dict[str, bool]:
    """
    The extension's entry point, called by Sphinx.
    """
    app.setup_extension("sphinx.ext.autodoc")
    app.add_config_value("api_modules", [], "env")
    app.add_config_value("api_unions", {}, "env")
    app.add_directive("api", APIDirective)
    app.add_directive("epytext", EpytextDirective)
    app.connect("builder-inited", importForTyping)
    app.connect("builder-inited", check)
    app.connect("autodoc-process-docstring", processDocstring)
    app.connect("autodoc-process-signature", dropSignature)
    app.connect("autodoc-skip-member", skipMember)
    app.connect("doctree-read", qualify)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True}
