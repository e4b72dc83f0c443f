"""The columns of a student's table by their usual names: which figure each holds, and in which unit."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

from rfcalc.core.errors import RfcalcError, UnknownName
from rfcalc.report.metrics import METRICS

# What people write over a column, besides the names of the metrics.
ALIASES = {
    "name": "layer name node module layername operation op",
    "output_shape": "output outputshape outputsize outputvolume outputdim outputdims outputdimensions outshape outsize "
    "shape size volume activationshape featuremap featuremapsize mapsize dims dimensions dimension activationvolume "
    "out side outputside resolution",
    "channels": "channels depth filters outchannels cout outputchannels outputdepth c",
    "height": "height h hout outputheight",
    "width": "width w wout outputwidth",
    "receptive_field": "rf receptivefield receptivefieldsize rfsize fieldofview fov field receptive r",
    "stride": "stride effectivestride jump totalstride cumulativestride j",
    "params": "params parameters parameter param numparams nparams numberofparameters parametercount trainableparams "
    "trainableparameters totalparams",
    "weights": "weights numweights numberofweights kernelparams",
    "biases": "biases bias numbiases",
    "buffers": "buffers nontrainable nontrainableparams runningstatistics",
    "macs": "macs mac multadds multiplyadds mults multiplications maccs madds multadd",
    "flops": "flops flop operations ops",
    "values": "values activations activation elements numactivations outputvalues activationvalues neurons",
    "bytes": "bytes memory mem activationmemory memorybytes outputbytes",
}
# The same in other languages, without spaces (small letters and accents do not matter): German, French, Spanish,
# Italian, Portuguese, Dutch, Polish, Russian, Chinese, Japanese, Korean.
TRANSLATED = {
    "name": "schicht ebene lage couche nom nomdelacouche capa nombre strato livello camada nome laag naam warstwa "
    "nazwa слои слой название 层 層 层名 名称 レイヤー 層名 레이어 층 계층",
    "output_shape": "ausgabe ausgang ausgabeform ausgabegrosse ausgangsgrosse grosse form sortie tailledesortie taille "
    "forme dimensionsdesortie salida tamano tamanodesalida formadesalida uscita dimensione dimensioni formadiuscita "
    "saida tamanho tamanhodasaida formato uitvoer grootte wyjscie rozmiar rozmiarwyjscia "
    "выход размер размервыхода форма 输出 "
    "输出尺寸 输出形状 输出大小 尺寸 形状 大小 出力 出力サイズ 出力形状 サイズ 출력 출력크기 크기",
    "channels": "kanale kanal filter canaux canal canales canali canais kanalen kanaly каналы каналов 通道 通道数 "
    "チャネル チャンネル チャネル数 チャンネル数 채널 채널수",
    "height": "hohe hauteur alto altura altezza hoogte wysokosc высота 高 高度 高さ 높이",
    "width": "breite largeur ancho anchura larghezza largura breedte szerokosc ширина 宽 宽度 幅 너비",
    "receptive_field": "rezeptivesfeld rezeptivfeld champreceptif champrecepteur champderecepteur camporeceptivo "
    "camporecettivo receptiefveld "
    "polerecepcyjne рецептивноеполе 感受野 受容野 수용영역 수용장",
    "stride": "schrittweite effektiveschrittweite pas paseffectif foulee paso pasoefectivo passo passoeffettivo stap "
    "krok шаг эффективныишаг 步长 步幅 ストライド 스트라이드",
    "params": "parametrer parametres parametros parametri parameterzahl parameteranzahl anzahlparameter "
    "anzahlderparameter nombredeparametres numerodeparametros numerodiparametri liczbaparametrow parametry параметры "
    "числопараметров 参数 参数量 参数数量 パラメータ パラメータ数 매개변수 파라미터",
    "weights": "gewichte poids pesos pesi gewichten wagi веса 权重 重み 가중치",
    "biases": "biasse biaswerte biais sesgo sesgos bias distorsioni vies смещения 偏置 バイアス 편향",
    "macs": "multiplikationen multiplikationenundadditionen multiplicationsadditions multiplicaciones moltiplicazioni "
    "умножения 乘加 乘加次数 積和演算 곱셈누산",
    "values": "aktivierungen werte activaciones attivazioni ativacoes activaties aktywacje активации 激活 激活值 "
    "活性化 활성값",
    "bytes": "speicher memoire memoria geheugen pamiec память 内存 显存 メモリ 메모리",
}


def _key(text: str) -> str:
    """The letters of a head, small and without accents: Größe is grosse."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", "".join(c for c in plain if c.isalpha() and not unicodedata.combining(c)))


_KNOWN = {
    _key(alias): figure
    for names in (TRANSLATED, ALIASES)
    for figure, told in names.items()
    for alias in (figure, *told.split())
}
_UNITS = {
    "k": 10**3, "m": 10**6, "g": 10**9, "million": 10**6, "millions": 10**6, "mio": 10**6, "thousand": 10**3,
    "thousands": 10**3, "billion": 10**9, "billions": 10**9, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10,
    "mib": 2**20, "gib": 2**30, "gmac": 10**9, "gmacs": 10**9, "mmac": 10**6, "mmacs": 10**6, "gflops": 10**9,
    "mflops": 10**6,
}  # fmt: skip
PARTS = ("channels", "height", "width")  # of the output shape, each in a column of its own
ADDED = ("weights", "biases", "params", "buffers", "macs", "flops")  # of a row, with the layers that are folded into it
MARKED = ("output_shape", *PARTS, "receptive_field", "stride", "weights", "biases", "params", "buffers", "macs",
          "flops", "values", "bytes")  # fmt: skip


class GradedColumn(NamedTuple):
    """Where a column stands, what its head says, the figure, and what its unit multiplies with."""

    at: int
    head: str
    figure: str
    scale: int = 1


_COUNT = re.compile(
    r"^\s*(?:no\.?|nr\.?|num\.?|nbr?e?\.?|qtde?\.?|cant\.?|number|count|amount|anzahl|zahl|nombre|n[uú]mero|"
    r"liczba|n[°º]\.?)"
    r"(?:\s+(?:of|the|der|von|de|des|di|do))*\s+",
    re.I,
)  # before what is counted


def column(head: str, index: int = 0) -> GradedColumn | None:
    """The column with this head; None if it holds no figure that is marked.

    >>> column("Params (M)"), column("Output size"), column("# parameters").figure
    (GradedColumn(at=0, head='Params (M)', figure='params', scale=1000000), \
GradedColumn(at=0, head='Output size', figure='output_shape', scale=1), 'params')
    >>> [column(head).figure for head in ("Rezeptives Feld", "champ réceptif", "感受野", "Größe")]
    ['receptive_field', 'receptive_field', 'receptive_field', 'output_shape']
    """
    inside = re.search(r"[(\[/]\s*(?:in\s+)?([A-Za-z]+)\s*[)\]]?\s*$", head)
    scale = _UNITS.get(inside[1].lower(), 1) if inside else 1
    bare = re.sub(r"[(\[].*", "", head)
    for text in (head, bare, _COUNT.sub("", bare)):
        figure = _KNOWN.get(_key(text))
        if figure is None:
            found = METRICS.get(text.strip().replace(" ", "_"))
            figure = found.name if found is not None and found.name in MARKED else None
        if figure is not None:
            return GradedColumn(index, head, figure, scale)
    word = re.fullmatch(
        r"([kmg])\s*(params|parameters|macs?|flops?)|(gflops|gmacs?|mflops|mmacs?)", head.strip().lower()
    )
    if word:
        short = word[3] or ""
        unit = _UNITS[word[1] or short[0]]
        return GradedColumn(index, head, _KNOWN[word[2] or short[1:]], unit)
    return None


def is_head(heads: tuple[str, ...], given: Mapping[str, str] | None = None) -> bool:
    """Whether a row can be that of the heads: one says a figure that is marked, and another a name or a figure.

    >>> is_head(("layer", "rf")), is_head(("Name:", "Ada")), is_head(("rf", "stride")), is_head(("conv1", "3"))
    (True, False, True, False)
    """
    known = {_key(head) or head.strip() for head in (given or {}).values()}
    found = [one.figure for one in map(column, heads) if one is not None]
    found += ["given" for head in heads if _same(head) in known]
    return len(found) > 1 and found != ["name"] * len(found)


def columns(
    heads: tuple[str, ...], where: str, given: Mapping[str, str] | None = None
) -> tuple[GradedColumn | None, tuple[GradedColumn, ...], tuple[str, ...]]:
    """The column of names, the columns that are marked, and the heads of the others.

    Args:
        given: heads by the figure that they stand for, where the usual names do not tell.

    Raises:
        RfcalcError: nothing can be marked, or a figure stands in two columns.
    """
    name: GradedColumn | None = None
    found: dict[str, GradedColumn] = {}
    others = []
    told = {_key(head) or head.strip(): figure for figure, head in (given or {}).items()}
    missing = [head for head in (given or {}).values() if (_key(head) or head.strip()) not in map(_same, heads)]
    if missing:
        raise RfcalcError(
            f"no column has the head {missing[0]!r}", where=where, why="the heads are: " + ", ".join(map(repr, heads))
        )
    for index, head in enumerate(heads):
        one = column(head, index)
        if _same(head) in told:
            one = GradedColumn(index, head, told[_same(head)], 1 if one is None else one.scale)
        elif one is not None and one.figure in (given or {}):
            one = None  # the teacher named another one
        if one is None:
            if head:
                others.append(head)
        elif one.figure == "name":
            if name is None:
                name = one
            else:
                others.append(head)
        elif one.figure in found:
            raise RfcalcError(
                f"two columns hold the same figure ({one.figure}): {found[one.figure].head!r} and {head!r}",
                where=where,
                fix="leave one out, or rename it",
            )
        else:
            found[one.figure] = one
    if not found:
        raise RfcalcError(
            "no column holds a figure that can be marked",
            where=where,
            why="the heads are: " + ", ".join(repr(h) for h in heads[:12]),
            fix="name columns as usual (layer, output, rf, stride, params, weights, biases, macs, memory), or say "
            'which is which: --columns "rf=HEAD,params=HEAD"',
        )
    return name, tuple(found.values()), tuple(others)


def _same(head: str) -> str:
    return _key(head) or head.strip()


def asked(text: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Figures by name, separated by commas; and the head of the column that holds one, where it is given.

    Raises:
        UnknownName: one that is not marked.

    >>> asked("rf=Sichtfeld, params"), asked("name=Was")
    ((('receptive_field', 'params'), {'receptive_field': 'Sichtfeld'}), ((), {'name': 'Was'}))
    """
    found, heads = [], {}
    for word in filter(None, (w.strip() for w in text.split(","))):
        name, sign, head = (part.strip() for part in word.partition("="))
        one = column(name)
        if one is None or (one.figure == "name" and not sign):
            raise UnknownName("column", name, MARKED)
        if sign:
            heads[one.figure] = head
        if one.figure != "name":
            found.append(one.figure)
    return tuple(dict.fromkeys(found)), heads
