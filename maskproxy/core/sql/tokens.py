"""One statement's tokens, and a cursor that reads them from left to right: what the small grammars of ours are made of
(``classify``, ``carry``)."""

from dataclasses import dataclass

from maskproxy.base.errors import Refused
from maskproxy.core.sql.lex import Token, TokenKind


@dataclass(frozen=True, slots=True)
class Piece:
    """One statement's tokens; never empty."""

    tokens: tuple[Token, ...]

    @property
    def start(self) -> int:
        return self.tokens[0].start

    @property
    def end(self) -> int:
        return self.tokens[-1].end

    @property
    def root(self) -> str:
        first = self.tokens[0]
        return first.value if first.kind in (TokenKind.WORD, TokenKind.PUNCTUATION) else ""


def split(tokens: tuple[Token, ...]) -> tuple[Piece, ...]:
    """Statements as the server splits them: at each semicolon. Semicolons inside parentheses occur only in statements
    that are refused anyway (CREATE RULE, BEGIN ATOMIC), and the split must agree with the server's grammar, see
    ``oracle``."""
    pieces: list[Piece] = []
    begin = 0
    for index, token in enumerate(tokens):
        if token.is_punctuation(";"):
            pieces.append(Piece(tokens[begin:index]))
            begin = index + 1
    pieces.append(Piece(tokens[begin:]))
    return tuple(piece for piece in pieces if piece.tokens)


class TokenCursor:
    """Reads one piece's tokens from left to right; ``take`` and friends move only when they match."""

    def __init__(self, piece: Piece, search_path: tuple[str, ...]) -> None:
        self.tokens = piece.tokens
        self._index = 1
        self.root = piece.root
        self.search_path = search_path

    def take(self, *words: str) -> bool:
        """All these words in this order."""
        ahead = self.tokens[self._index : self._index + len(words)]
        found = len(ahead) == len(words) and all(token.is_word(word) for token, word in zip(ahead, words, strict=True))
        self._index += len(words) if found else 0
        return found

    def take_any(self, *words: str) -> str | None:
        return next((word for word in words if self.take(word)), None)

    def take_symbol(self, *symbols: str) -> bool:
        token = self._peek()
        found = (
            token is not None and token.value in symbols and token.kind in (TokenKind.OPERATOR, TokenKind.PUNCTUATION)
        )
        self._index += found
        return found

    def name(self) -> str:
        token = self._peek()
        if token is None or token.kind not in (TokenKind.WORD, TokenKind.QUOTED):
            raise self.refusal()
        self._index += 1
        return token.value

    def value(self) -> str:
        """One word, string or number, as the server would store it in a setting."""
        sign = "-" if self.take_symbol("-") else ""
        token = self._peek()
        if token is None or token.kind not in (TokenKind.WORD, TokenKind.QUOTED, TokenKind.NUMBER, TokenKind.STRING):
            raise self.refusal()
        self._index += 1
        if token.kind is TokenKind.STRING and token.end - token.start != len(token.value.replace("'", "''")) + 2:
            raise self.refusal()  # an escape string, dollar quotes ... whose value the lexer does not compute
        return sign + token.value

    def take_number(self) -> bool:
        return self._take_kind(TokenKind.NUMBER)

    def take_string(self) -> bool:
        return self._take_kind(TokenKind.STRING)

    def take_argument(self) -> bool:
        """A string, a parameter, NULL, TRUE or FALSE."""
        if self._take_kind(TokenKind.STRING, TokenKind.PARAMETER):
            return True
        return self.take_any("null", "true", "false") is not None

    def _take_kind(self, *kinds: TokenKind) -> bool:
        token = self._peek()
        found = token is not None and token.kind in kinds
        self._index += found
        return found

    def next(self) -> Token:
        """Whatever comes."""
        token = self._peek()
        if token is None:
            raise self.refusal()
        self._index += 1
        return token

    def rest(self) -> tuple[Token, ...]:
        """What is still to be read."""
        return self.tokens[self._index :]

    def until_closed(self) -> tuple[Token, ...]:
        """What comes before the parenthesis that closes the one just taken, which is taken too."""
        start, depth = self._index, 1
        while depth:
            token = self.next()
            depth += token.is_punctuation("(") - token.is_punctuation(")")
        return self.tokens[start : self._index - 1]

    def expect_end(self) -> None:
        if self._peek() is not None:
            raise self.refusal()

    def refusal(self) -> Refused:
        token = self._peek() or self.tokens[-1]
        return Refused(
            f"this form of {self.root.upper()} is not allowed under a masking scope", position=token.start + 1
        )

    def _peek(self) -> Token | None:
        return self.tokens[self._index] if self._index < len(self.tokens) else None
