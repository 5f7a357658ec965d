"""What nvcc makes of kernels.cu (PTX), as C++: so it can be run without a GPU, one thread after the other.

Only the instructions that our kernels have; any other one is an error. The meaning is that of NVIDIA's
"Parallel Thread Execution ISA". Left out is what comes after PTX, the machine code of one GPU.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_C_TYPES = {
    "pred": "bool", "b8": "uint8_t", "u8": "uint8_t", "b16": "uint16_t", "u16": "uint16_t", "s16": "int16_t",
    "b32": "uint32_t", "u32": "uint32_t", "s32": "int32_t", "b64": "uint64_t", "u64": "uint64_t",
    "s64": "int64_t", "f32": "float",
}  # fmt: skip
_WIDER = {"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}
_COMPARED = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "rem": "%", "and": "&", "or": "|", "xor": "^"}
_ENTRY = re.compile(r"\.visible \.entry (\w+)\(\s*\.param [^\n]*?(\w+)\[\d+\]\s*\)\s*\{(.*?)\n\}", re.DOTALL)

_HEAD = """
#include <cmath>
#include <cstdint>
#include <cstring>
struct Place { uint32_t x, y, z; };
template <class T> static T as(uint64_t bits) {
    T value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
template <class T> static uint64_t bits(T value) {  // a narrower value fills a register by its sign
    return (uint64_t)(int64_t)value;
}
template <> uint64_t bits(float value) { uint32_t b; memcpy(&b, &value, 4); return b; }
template <> uint64_t bits(uint64_t value) { return value; }
template <class T> static T load(uint64_t at) {
    T value;
    memcpy(&value, (void *)at, sizeof value);
    return value;
}
template <class T> static void store(uint64_t at, T value) { memcpy((void *)at, &value, sizeof value); }
static uint32_t prmt(uint32_t a, uint32_t b, uint32_t how) {  // all signs 0
    uint64_t both = (uint64_t)b << 32 | a;
    uint32_t out = 0;
    for (int i = 0; i < 4; ++i) out |= (uint32_t)(both >> 8 * (how >> 4 * i & 7) & 255) << 8 * i;
    return out;
}
static int32_t rzi_s32(float v) {
    return v != v ? 0 : v >= 2147483648.0f ? INT32_MAX : v <= -2147483648.0f ? INT32_MIN : (int32_t)v;
}
static uint32_t rzi_u32(float v) { return !(v > 0) ? 0 : v >= 4294967296.0f ? 0xffffffffu : (uint32_t)v; }
static int32_t ordered(float a, float b) { return a == a && b == b; }
"""
_THREADS = """
static void thread_NAME(const void *arguments, Place tid, Place ntid, Place ctaid) {
    (void)tid, (void)ntid, (void)ctaid;
    BODY
}
extern "C" void ptx_NAME(
    const void *arguments, uint32_t gx, uint32_t gy, uint32_t gz, uint32_t bx, uint32_t by
) {
    for (uint32_t i = 0; i < gx * gy * gz; ++i)
        for (uint32_t k = 0; k < bx * by; ++k) {
            Place tid{k % bx, k / bx, 0}, ctaid{i % gx, i / gx % gy, i / gx / gy};
            thread_NAME(arguments, tid, {bx, by, 1}, ctaid);
        }
}
"""


def to_cpp(text: str) -> str:
    """C++ with a function ``ptx_NAME(const void *arguments, grid x, y, z, block x, y)`` for each kernel."""
    return _HEAD + "".join(_kernel(*match.groups()) for match in _ENTRY.finditer(text))


def _kernel(name: str, param: str, body: str) -> str:
    registers, lines = [], []
    for statement in re.findall(r"[^;:\n]+[;:]", re.sub(r"//[^\n]*", "", body)):
        statement = statement.strip()
        if declared := re.match(r"\.reg \.\w+\s+%(\w+)<(\d+)>;", statement):
            registers.append(f"uint64_t {declared[1]}[{declared[2]}];")
        elif statement.startswith(".pragma"):  # a wish of the compiler's to the next one
            continue
        elif statement.endswith(":"):
            lines.append(f"{_label(statement[:-1])}: ;")
        else:
            lines.append(_statement(statement[:-1], param))
    inner = "\n    ".join([*registers, *lines])
    return _THREADS.replace("NAME", name).replace("BODY", inner)


def _statement(text: str, param: str) -> str:
    guard = ""
    if match := re.match(r"@(!?)%(\w+)\s+(.*)", text):
        register, number = _register(match[2])
        guard, text = f"if ({match[1]}(bool){register}[{number}]) ", match[3]
    operation, rest = [*text.split(None, 1), ""][:2]
    operation, *kinds = operation.split(".")
    operands = [part.strip() for part in re.split(r",(?![^{]*\})", rest) if part.strip()]
    return guard + _INSTRUCTIONS[operation](kinds, [o.replace(param, "$arguments") for o in operands])


def _register(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"([a-z]+)(\d+)", text)
    assert match is not None, text
    return match[1], match[2]


def _label(text: str) -> str:
    return text.strip().replace("$", "")


def _read(operand: str, kind: str) -> str:
    """The operand as a value of this type."""
    if operand.startswith("%"):
        if "." in operand:
            return operand[1:]
        return f"as<{_C_TYPES[kind]}>({'{}[{}]'.format(*_register(operand[1:]))})"
    if operand == "$arguments":
        return "(uint64_t)arguments"
    if operand.startswith("0f"):
        return f"as<float>(0x{operand[2:]}u)"
    return f"({_C_TYPES[kind]}){int(operand, 0)}ll"


def _write(operand: str, kind: str, value: str) -> str:
    return f"{'{}[{}]'.format(*_register(operand[1:]))} = bits<{_C_TYPES[kind]}>({value});"


def _address(operand: str) -> str:
    base, _, offset = operand.strip("[]").partition("+")
    return f"({_read(base, 'u64')} + (int64_t){offset or 0})"


def _infix(name: str) -> Callable[[list[str], list[str]], str]:
    def write(kinds: list[str], operands: list[str]) -> str:
        target, a, b = operands
        kind = kinds[-1]
        if "wide" in kinds:
            wide = _C_TYPES[_WIDER[kind]]
            value = f"({wide}){_read(a, kind)} * ({wide}){_read(b, kind)}"
            return _write(target, _WIDER[kind], value)
        assert set(kinds[:-1]) <= {"rn", "lo"}, kinds
        if kind.startswith("s") and name in ("add", "sub", "mul"):  # which wrap around
            kind = "u" + kind[1:]
        return _write(target, kind, f"{_read(a, kind)} {_INFIX[name]} {_read(b, kind)}")

    return write


def _shift(sign: str) -> Callable[[list[str], list[str]], str]:
    def write(kinds: list[str], operands: list[str]) -> str:
        (kind,), (target, a, b) = kinds, operands
        width = int(kind[1:])
        return _write(
            target, kind, f"{_read(b, 'u32')} >= {width} ? 0 : {_read(a, kind)} {sign} {_read(b, 'u32')}"
        )

    return write


def _one(form: str) -> Callable[[list[str], list[str]], str]:
    """An instruction whose value is `form`, of its operands as values of its type."""

    def write(kinds: list[str], operands: list[str]) -> str:
        values = [_read(operand, kinds[-1]) for operand in operands[1:]]
        return _write(operands[0], kinds[-1], form.format(*values))

    return write


def _not(kinds: list[str], operands: list[str]) -> str:
    return _one("!{}" if kinds == ["pred"] else "~{}")(kinds, operands)


def _mov(kinds: list[str], operands: list[str]) -> str:
    return _write(operands[0], kinds[-1], _read(operands[1], kinds[-1]))


def _ld(kinds: list[str], operands: list[str]) -> str:
    kind, at = kinds[-1], _address(operands[1])
    targets = operands[0].strip("{}").split(",")
    assert kinds[:-1] in (["param"], ["global"], ["param", f"v{len(targets)}"]), kinds
    loads = [f"load<{_C_TYPES[kind]}>({at} + {i * int(kind[1:]) // 8})" for i in range(len(targets))]
    return "{ " + " ".join(_write(t.strip(), kind, v) for t, v in zip(targets, loads)) + " }"


def _st(kinds: list[str], operands: list[str]) -> str:
    kind = kinds[-1]
    assert kinds[:-1] == ["global"], kinds
    return f"store<{_C_TYPES[kind]}>({_address(operands[0])}, {_read(operands[1], kind)});"


def _setp(kinds: list[str], operands: list[str]) -> str:
    comparison, kind = kinds
    a, b = (_read(operand, kind) for operand in operands[1:])
    if comparison in ("num", "nan"):
        value = f"{'!' * (comparison == 'nan')}ordered({a}, {b})"
    elif comparison in _COMPARED:
        value = f"{a} {_COMPARED[comparison]} {b}"
        if kind == "f32" and comparison == "ne":
            value = f"ordered({a}, {b}) && {value}"
    else:  # true of NaN, too
        value = f"!ordered({a}, {b}) || {a} {_COMPARED[comparison.removesuffix('u')]} {b}"
    return _write(operands[0], "pred", value)


def _selp(kinds: list[str], operands: list[str]) -> str:
    target, a, b, condition = operands
    value = f"{_read(condition, 'pred')} ? {_read(a, kinds[0])} : {_read(b, kinds[0])}"
    return _write(target, kinds[0], value)


def _cvt(kinds: list[str], operands: list[str]) -> str:
    *rounding, to, source = kinds
    value = _read(operands[1], source)
    special = {("rni", "f32", "f32"): "rintf({})", ("rzi", "u32", "f32"): "rzi_u32({})"}
    special["rzi", "s32", "f32"] = "rzi_s32({})"
    form = special.get((*rounding, to, source))
    if form is None and (*rounding, to) == ("rn", "f32") and source != "f32":
        form = "(float){}"
    if form is None:
        assert not rounding and "f32" not in (to, source), kinds
        form = f"({_C_TYPES[to]})" + "{}"
    return _write(operands[0], to, form.format(value))


def _dp2a(kinds: list[str], operands: list[str]) -> str:
    """Two products of 16-bit halves of a with bytes of b, the lower or the upper two of them, added to c."""
    mode, *types = kinds
    assert types == ["u32", "u32"], kinds
    a, b, c = (_read(operand, "u32") for operand in operands[1:])
    shift = {"lo": 0, "hi": 16}[mode]
    products = f"({a} & 0xffffu) * ({b} >> {shift} & 0xffu) + ({a} >> 16) * ({b} >> {shift + 8} & 0xffu)"
    return _write(operands[0], "u32", f"{c} + {products}")


def _bra(kinds: list[str], operands: list[str]) -> str:
    return f"goto {_label(operands[0])};"


_INSTRUCTIONS: dict[str, Callable[[list[str], list[str]], str]] = {
    **{name: _infix(name) for name in _INFIX},
    "shl": _shift("<<"), "shr": _shift(">>"),
    "abs": _one("fabsf({})"), "neg": _one("-{}"), "not": _not, "rcp": _one("1.0f / {}"),
    "min": _one("({0} < {1} || {1} != {1} ? {0} : {1})"),
    "max": _one("({0} > {1} || {1} != {1} ? {0} : {1})"),
    "mad": _one("{} * {} + {}"), "prmt": _one("prmt({}, {}, {})"), "cvta": _one("{}"),
    "mov": _mov, "ld": _ld, "st": _st, "setp": _setp, "selp": _selp, "cvt": _cvt, "bra": _bra, "dp2a": _dp2a,
    "ret": lambda kinds, operands: "return;",
}  # fmt: skip
