"""LaTeX that an engine would take: braces, environments, columns; and every sign made safe."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import TABLES, page_of, toy_page

from vaebench.results.latex import latex_text, to_latex

ROW_END = r" \\"


def check(text):
    """The structure of a document; returns the rows of each tabular as lists of entries."""
    assert is_balanced(text)
    opened = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert opened == []
    assert text.count(r"\begingroup") == text.count(r"\endgroup")
    assert without_escapes(text).count("$") % 2 == 0
    tables = []
    for columns, body in re.findall(
        r"\\begin\{tabular\}\{([^\n]*)\}\n(.*?)\\end\{tabular\}", text, re.S
    ):
        width = len(re.sub(r"p\{[^}]*\}", "p", columns))
        rows = [line.removesuffix(ROW_END) for line in body.splitlines() if line.endswith(ROW_END)]
        rows = [re.split(r"(?<!\\)&", row) for row in rows]
        assert rows
        for row in rows:
            assert sum(spanned(entry) for entry in row) == width, row
            assert not row[0].startswith(("[", "*"))
        for first, last in re.findall(r"\\cmidrule\(lr\)\{(\d+)-(\d+)\}", body):
            assert 1 <= int(first) < int(last) <= width
        rest = [line for line in body.splitlines() if not line.endswith(ROW_END)]
        assert all(re.fullmatch(r"\\(top|mid|bottom)rule|(\\cmidrule\S+)+", line) for line in rest)
        tables.append([[entry.strip() for entry in row] for row in rows])
    return tables


def without_escapes(text):
    return re.sub(r"\\[\\{}$&%#_]", "", text)


def is_balanced(text):
    depth = 0
    for brace in re.findall(r"[{}]", without_escapes(text)):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    return depth == 0


def spanned(entry):
    match = re.match(r"\s*\\multicolumn\{(\d+)\}", entry)
    return int(match[1]) if match else 1


@pytest.mark.parametrize("show", ["both", "published"])
@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_sound_structure(name, show):
    page = page_of(name, show)
    text = to_latex(page)
    tables = check(text)
    assert len(tables) == len(page.grid.panels)
    for rows, panel in zip(tables, page.grid.panels, strict=True):
        lines = [line for block in panel.blocks for line in block.lines]
        assert len(rows) >= len(lines) + 1
    assert text.isascii() or set(re.findall(r"[^\x00-\x7f]", text)) <= set("é")


@pytest.mark.parametrize("name", TABLES)
def test_the_first_line_names_the_packages(name):
    head, body = to_latex(page_of(name)).split("\n", 1)
    needs = re.fullmatch(rf"% {name}: needs \\usepackage\{{([a-z,]+)\}}", head)
    named = set(needs[1].split(","))
    assert "booktabs" in named
    assert (r"\multirow" in body) == ("multirow" in named)
    assert (r"\mathbb" in body) == ("amssymb" in named)
    assert (r"\lVert" in body) == ("amsmath" in named)


def test_the_published_numbers_beside_ours():
    (head, names, autoencoder, vae, *_), _ = check(to_latex(page_of("igp-table12")))
    assert head[1:] == [
        rf"\multicolumn{{2}}{{c}}{{{name}}}" for name in ("Rec.", "KL", "AU", "CLF")
    ]
    assert names == [r"\multicolumn{2}{l}{Model}", *["paper", "ours"] * 4]
    assert autoencoder[:5] == [r"\multicolumn{2}{l}{AE}", "58.86", "58.80", "--", "--"]
    assert vae[:4] == [r"\multirow{4}{*}{DGP}", "VAE", "78.64", "79.02"]
    assert vae[-1] == r"90.79\%"


def test_notes_stand_below(toy):
    text = to_latex(toy_page(toy, assumptions=["Half of it, 50%, is A_1 & B."]))
    assert text.index(r"\end{tabular}") < text.index("Ours: paper scale") < text.index("[n/m]")
    assert r"Assumption: Half of it, 50\%, is $A_{1}$ \& B." in text
    check(text)


def test_wide_tables_are_set_small():
    sizes = {
        name: to_latex(page_of(name, "published")).partition(r"\begingroup")[2].splitlines()[0]
        for name in ("igp-table12", "ar-elbo-table3", "ar-elbo-table1")
    }
    assert sizes["igp-table12"] == r"\small"
    assert sizes["ar-elbo-table3"].startswith(r"\scriptsize\setlength")
    assert sizes["ar-elbo-table1"].startswith(r"\scriptsize\setlength")


def test_an_entry_is_no_argument_of_the_rule_above(toy):
    toy.spec["layout"]["panels"][0]["corner"] = "[c]"
    toy.spec["layout"]["panels"][0]["blocks"] = [{"lines": [{"row": "A", "label": "*A"}, "B"]}]
    rows = check(to_latex(toy_page(toy)))[0]
    assert [row[0] for row in rows if row[0]] == ["{}[c]", "{}*A", "B"]


def test_a_hostile_table(toy):
    signs = r"50% & #1_$ \end{table} ~^ [x] <b> {"
    layout = toy.spec["layout"]["panels"][0]
    layout["blocks"] = [{"label": signs, "lines": [{"row": "A", "label": "[a]"}]}]
    layout["corner"], layout["title"] = signs, signs
    layout["columns"][0]["header"] = signs
    check(to_latex(toy_page(toy, caption=signs)))


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("log σ_x²", r"log $\sigma_{x}^{2}$"),
        ("β-VAE (0.4)", r"$\beta$-VAE (0.4)"),
        ("J_rec(θ, φ, Σ_x)", r"$J_{\mathrm{rec}}$($\theta$, $\phi$, $\Sigma_{x}$)"),
        ("‖x′ − x‖₂²", r"$\Vert$$x'$ $-$ x$\Vert_{2}^{2}$"),
        ("10⁻²", "$10^{-2}$"),
        ("x′_1²", "$x_{1}'^{2}$"),
        ("nats²", "nats$^{2}$"),
        ("20.3 ± 13.0", r"20.3 $\pm$ 13.0"),
        ("[0.11, -0.41]", "[0.11, $-0.41$]"),
        ("6.31e-5", "6.31e-5"),
        ("K-Means", "K-Means"),
        ("my_row", r"my\_row"),
        ("a\\b{c}", r"a\textbackslash{}b\{c\}"),
        ("# 5% & $", r"\# 5\% \& \$"),
        ("–", "--"),
        ("--limit 50", "-{}-limit 50"),
        ("`vaebench run x_y`", r"\texttt{vaebench run x\_y}"),
        (r"$\sigma_x^2 I$", r"$\sigma_x^2 I$"),
        ("$a}b{$", r"\$a\}b\{\$"),
        ("Sønderby", r"S{\o}nderby"),
        ("Ρ ϕ", r"$P$ $\phi$"),
    ],
)
def test_texts(text, latex):
    assert latex_text(text) == latex


@given(st.text())
def test_no_text_breaks_the_document(text):
    found = latex_text(text)
    bare = without_escapes(found)
    assert is_balanced(found) and bare.count("$") % 2 == 0
    outside = "".join(bare.split("$")[::2])
    if not re.fullmatch(r"\$[^$%#\n]+\$", text):
        assert not re.search(r"[&%#_^]", outside)
        assert outside.count("~") == text.count("\N{NO-BREAK SPACE}")
    assert "\n" not in found
