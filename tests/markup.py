"""An HTML page as a list of its elements, for tests that ask what is in it."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

# Elements without content, which HTML never closes.
_VOID: Final = frozenset({"br", "hr", "img", "input", "link", "meta"})


@dataclass(slots=True)
class Element:
    """One element: `text` is all text in it, `inside` the tags around it, outermost first."""

    tag: str
    attributes: dict[str, str]
    inside: tuple[str, ...]
    text: str = ""

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()


@dataclass(slots=True)
class Markup:
    """A page. Raises AssertionError for an element that is closed wrongly or not at all."""

    elements: list[Element] = field(default_factory=list)

    @classmethod
    def of(cls, page: str) -> "Markup":
        reader = _Reader()
        reader.feed(page)
        reader.close()
        assert not reader.open, f"never closed: {[element.tag for element in reader.open]}"
        return cls(reader.found)

    def all(self, *tags: str) -> list[Element]:
        """Return the elements of these kinds, in the order of the page."""
        return [element for element in self.elements if element.tag in tags]

    def by_class(self, name: str) -> list[Element]:
        return [element for element in self.elements if name in element.classes]

    def values(self, *attributes: str) -> list[str]:
        """Return the values of these attributes wherever they stand."""
        return [
            value
            for element in self.elements
            for name, value in element.attributes.items()
            if name in attributes
        ]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Element] = []
        self.open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        around = tuple(element.tag for element in self.open)
        element = Element(tag, {name: value or "" for name, value in attrs}, around)
        self.found.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1].tag == tag, f"</{tag}> where <{self.open[-1].tag}> is open"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data
