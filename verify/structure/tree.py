"""The syntax tree of the library's C files, as clang (libclang) sees it: a plain copy, kept in a file.

A node is a tuple (kind, line, data, children):
  call    data: what is called, a name or a slot (below); children: the arguments, for a slot its base first
  atomic  data: the names of its orders; children: the object's address, then values
  member  data: 'struct.field'; children: the object
  ref     data: a name of a function, variable, parameter or enumerator
  assign, op, unary  data: the operator; children: its operands
  if, while, for, do, switch, case, default, return, goto, label, break, continue, block, decl, init, field,
  string, number, cond, and, or, other

A name is 'file:name' for what is static, 'name' for what is not, 'function#name' for a parameter or a local
variable. A slot is what a call through a pointer names: ('slot', name of a member, parameter or variable).
"""
import concurrent.futures
import ctypes
import hashlib
import os
import pathlib
import pickle
import sys

sys.path.append("/usr/lib/python3/dist-packages")  # where Debian puts python3-clang-22, whatever python3 is first
try:
    from clang import cindex
except ImportError:
    sys.exit("structure: python3-clang-22 is missing; run `tools/install-deps test`.")
K = cindex.CursorKind

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARIES = ["/usr/lib/llvm-22/lib/libclang-22.so.1", "/usr/lib/x86_64-linux-gnu/libclang-22.so.22"]
SIMPLE = {K.IF_STMT: "if", K.WHILE_STMT: "while", K.FOR_STMT: "for", K.DO_STMT: "do", K.SWITCH_STMT: "switch",
          K.CASE_STMT: "case", K.DEFAULT_STMT: "default", K.RETURN_STMT: "return", K.BREAK_STMT: "break",
          K.CONTINUE_STMT: "continue", K.COMPOUND_STMT: "block", K.CONDITIONAL_OPERATOR: "cond",
          K.INIT_LIST_EXPR: "init", K.StmtExpr: "block", K.ARRAY_SUBSCRIPT_EXPR: "index"}
SKIPPED = {K.TYPE_REF, K.UNEXPOSED_ATTR, K.ALIGNED_ATTR, K.WARN_UNUSED_RESULT_ATTR, K.STRUCT_DECL, K.UNION_DECL,
           K.ENUM_DECL, K.VISIBILITY_ATTR, K.CONST_ATTR, K.PURE_ATTR, K.NULL_STMT}

# clang-c/Index.h, CXUnaryOperatorKind
UNARY = {1: "++", 2: "--", 3: "++", 4: "--", 5: "&", 6: "*", 7: "+", 8: "-", 9: "~", 10: "!"}


def load():
    """Loads libclang, and what its Python has no words for."""
    if not cindex.Config.loaded:
        library = next((name for name in LIBRARIES if os.path.exists(name)), None)
        if library:
            cindex.Config.set_library_file(library)
        lib = cindex.conf.lib
        lib.clang_getCursorUnaryOperatorKind.argtypes = [cindex.Cursor]
        lib.clang_Cursor_Evaluate.argtypes = [cindex.Cursor]
        lib.clang_Cursor_Evaluate.restype = ctypes.c_void_p
        lib.clang_EvalResult_getAsLongLong.argtypes = [ctypes.c_void_p]
        lib.clang_EvalResult_getAsLongLong.restype = ctypes.c_longlong
        lib.clang_EvalResult_dispose.argtypes = [ctypes.c_void_p]


def value_of(cursor):
    lib = cindex.conf.lib
    result = lib.clang_Cursor_Evaluate(cursor)
    if not result:
        return None
    value = lib.clang_EvalResult_getAsLongLong(result)
    lib.clang_EvalResult_dispose(result)
    return value


class Unit:
    """What one source file, with the project's headers that it includes, defines."""

    def __init__(self):
        self.functions = {}     # name -> {"file", "line", "static", "params": [(name, type)], "result", "body"}
        self.declared = {}      # name -> [{"file", "line", "end"}]: declarations
        self.variables = {}     # name -> {"file", "line", "type", "const", "thread", "init"}, of file scope and static
        self.structs = {}       # name -> [(field, type)]
        self.enums = {}         # name -> [constants]
        self.macros = {}        # file -> {line: [names of macros that are expanded there]}

    def headers(self):
        """What of this unit stands in headers."""
        rest = Unit()
        for mine, theirs in ((self.functions, rest.functions), (self.variables, rest.variables)):
            theirs.update({name: one for name, one in mine.items() if str(one["file"]).endswith(".h")})
        rest.declared = {name: [one for one in all if one["file"].endswith(".h")] for name, all in self.declared.items()}
        rest.structs, rest.enums = self.structs, self.enums
        rest.macros = {file: lines for file, lines in self.macros.items() if file.endswith(".h")}
        return rest


def relative(name):
    path = os.path.realpath(name)
    return path[len(str(ROOT)) + 1:] if path.startswith(str(ROOT) + "/") else None


# Headers whose functions this process has handed over already.
SEEN = set()


class Reader:
    def __init__(self, flags):
        self.flags = flags
        self.files = {}
        self.function = None
        self.unit = Unit()
        self.seen = set(SEEN)

    def file_of(self, cursor):
        file = cursor.location.file
        if file is None:
            return None
        name = file.name
        if name not in self.files:
            found = relative(name)
            self.files[name] = found if found and found.startswith(("src/", "include/", "verify/")) else None
        return self.files[name]

    def name_of(self, declared):
        name = declared.spelling
        if declared.kind == K.ENUM_CONSTANT_DECL:
            return name
        if declared.linkage == cindex.LinkageKind.EXTERNAL:
            return name
        if declared.kind == K.FUNCTION_DECL or declared.semantic_parent.kind == K.TRANSLATION_UNIT:
            return "%s:%s" % (self.file_of(declared), name)
        return "%s#%s" % (self.function, name)

    def field_of(self, declared):
        parent = declared.semantic_parent
        name = parent.spelling
        if not name or "(" in name or " " in name:
            name = "%s:%d" % (self.file_of(parent), parent.location.line)
        return "%s.%s" % (self.tag_of(name, parent), declared.spelling)

    def tag_of(self, name, declared):
        """Devices define types of the seam, such as hd_queue, each in a source of its own."""
        file = self.file_of(declared) or ""
        own = file.startswith(("src/hal/cuda/", "src/hal/sim/")) and file.endswith(".c") and ":" not in name
        return "%s:%s" % (file, name) if own else name

    def inner(self, cursor):
        """Behind casts that are not written, and parentheses."""
        while cursor.kind in (K.UNEXPOSED_EXPR, K.PAREN_EXPR, K.CSTYLE_CAST_EXPR):
            children = [c for c in cursor.get_children() if c.kind not in SKIPPED]
            if len(children) != 1:
                return cursor
            cursor = children[0]
        return cursor

    def children(self, cursor):
        return tuple(self.read(c) for c in cursor.get_children() if c.kind not in SKIPPED)

    def read(self, cursor):
        cursor = self.inner(cursor)
        kind, line = cursor.kind, cursor.location.line
        if kind in SIMPLE:
            return (SIMPLE[kind], line, None, self.children(cursor))
        if kind == K.CALL_EXPR:
            return self.read_call(cursor, line)
        if kind == K.MEMBER_REF_EXPR:
            return ("member", line, self.field_of(cursor.referenced), self.children(cursor))
        if kind == K.DECL_REF_EXPR:
            return ("ref", line, self.name_of(cursor.referenced), ())
        if kind == K.BINARY_OPERATOR:
            text = cursor.spelling
            name = {"=": "assign", "&&": "and", "||": "or"}.get(text, "op")
            return (name, line, text, self.children(cursor))
        if kind == K.COMPOUND_ASSIGNMENT_OPERATOR:
            return ("assign", line, cursor.spelling or "op=", self.children(cursor))
        if kind == K.UNARY_OPERATOR:
            which = cindex.conf.lib.clang_getCursorUnaryOperatorKind(cursor)
            return ("unary", line, UNARY.get(which, "?"), self.children(cursor))
        if kind == K.UNEXPOSED_EXPR:
            return self.read_unexposed(cursor, line)
        if kind == K.DECL_STMT:
            return ("decls", line, None, tuple(self.read_variable(c) for c in cursor.get_children() if c.kind == K.VAR_DECL))
        if kind == K.GOTO_STMT:
            return ("goto", line, next(cursor.get_children()).spelling, ())
        if kind == K.LABEL_STMT:
            return ("label", line, cursor.spelling, self.children(cursor))
        if kind == K.STRING_LITERAL:
            return ("string", line, cursor.spelling, ())
        if kind in (K.INTEGER_LITERAL, K.CHARACTER_LITERAL):
            return ("number", line, value_of(cursor), ())
        if kind == K.MEMBER_REF:
            return ("field", line, self.field_of(cursor.referenced), ())
        return ("other", line, kind.name, self.children(cursor))

    def read_unexposed(self, cursor, line):
        children = [c for c in cursor.get_children() if c.kind not in SKIPPED]
        orders = [c.spelling for c in children if c.kind == K.DECL_REF_EXPR and c.spelling.startswith("memory_order_")]
        if orders:
            rest = tuple(self.read(c) for c in children if not c.spelling.startswith("memory_order_"))
            shape = "store" if cursor.type.kind == cindex.TypeKind.VOID else \
                "load" if len(rest) == 1 else "cas" if len(orders) == 2 else "rmw"
            return ("atomic", line, (shape, *orders), rest)
        if children and children[0].kind == K.MEMBER_REF:  # .field = value
            return ("set", line, self.field_of(children[0].referenced), tuple(self.read(c) for c in children[1:]))
        return ("other", line, "UNEXPOSED_EXPR", tuple(self.read(c) for c in children))

    def read_call(self, cursor, line):
        parts = [c for c in cursor.get_children() if c.kind not in SKIPPED]
        if not parts:
            return ("call", line, ("slot", "?"), ())
        callee = self.inner(parts[0])
        while callee.kind == K.UNARY_OPERATOR:
            callee = self.inner(next(callee.get_children()))
        arguments = tuple(self.read(c) for c in parts[1:])
        if callee.kind == K.DECL_REF_EXPR and callee.referenced.kind == K.FUNCTION_DECL:
            return ("call", line, self.name_of(callee.referenced), arguments)
        if callee.kind == K.DECL_REF_EXPR:
            return ("call", line, ("slot", self.name_of(callee.referenced)), (self.read(callee), *arguments))
        if callee.kind == K.MEMBER_REF_EXPR:
            return ("call", line, ("slot", self.field_of(callee.referenced)), (self.read(callee), *arguments))
        if callee.kind == K.ARRAY_SUBSCRIPT_EXPR:
            base = self.read(callee)
            return ("call", line, ("slot", base[3][0][2] if base[3] else "?"), (base, *arguments))
        return ("call", line, ("slot", "?"), (self.read(callee), *arguments))

    def read_variable(self, cursor):
        values = [c for c in cursor.get_children() if c.kind not in SKIPPED and not c.kind.is_attribute()]
        is_array = cursor.type.kind in (cindex.TypeKind.CONSTANTARRAY, cindex.TypeKind.VARIABLEARRAY)
        value = tuple(self.read(c) for c in values[-1:]) if values and not (is_array and len(values) == 1 and
                                                                          values[0].kind == K.INTEGER_LITERAL) else ()
        if cursor.storage_class == cindex.StorageClass.STATIC:
            self.add_variable(cursor, value)
        return ("decl", cursor.location.line, (self.name_of(cursor), cursor.type.spelling), value)

    def add_variable(self, cursor, value):
        kind = cursor.type
        while kind.kind in (cindex.TypeKind.CONSTANTARRAY, cindex.TypeKind.INCOMPLETEARRAY):
            kind = kind.element_type
        self.unit.variables[self.name_of(cursor)] = {
            "file": self.file_of(cursor), "line": cursor.location.line, "type": cursor.type.spelling,
            "const": kind.is_const_qualified(), "thread": cursor.tls_kind != cindex.TLSKind.NONE, "init": value,
            "defined": cursor.is_definition() or cursor.storage_class != cindex.StorageClass.EXTERN}

    def read_function(self, cursor, file):
        if file in self.seen:
            return
        name = self.name_of(cursor)
        if not cursor.is_definition():
            self.unit.declared.setdefault(name, []).append(
                {"file": file, "line": cursor.extent.start.line, "end": cursor.extent.end.line})
            return
        self.function = name
        parameters = list(cursor.get_arguments())
        body = [c for c in cursor.get_children() if c.kind == K.COMPOUND_STMT]
        self.unit.functions[name] = {
            "file": file, "line": cursor.location.line, "end": cursor.extent.end.line,
            "static": cursor.linkage != cindex.LinkageKind.EXTERNAL, "result": cursor.result_type.spelling,
            "params": [("%s#%s" % (name, p.spelling), p.type.spelling) for p in parameters],
            "body": self.read(body[0]) if body else None}
        self.function = None

    def read_struct(self, cursor):
        if cursor.is_definition() and cursor.spelling:
            name = cursor.spelling
            if "(" in name or " " in name:
                name = "%s:%d" % (self.file_of(cursor), cursor.location.line)
            self.unit.structs[self.tag_of(name, cursor)] = [(c.spelling, c.type.spelling) for c in cursor.get_children() if c.kind == K.FIELD_DECL]

    def read_file(self, path, text):
        index = cindex.Index.create()
        files = [(str(ROOT / name), changed) for name, changed in text.items()] if text else None
        tree = index.parse(str(ROOT / path), args=self.flags, unsaved_files=files,
                           options=cindex.TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD)
        bad = [d for d in tree.diagnostics if d.severity >= cindex.Diagnostic.Error]
        if bad:
            raise SyntaxError("%s: %s" % (path, bad[0]))
        for cursor in tree.cursor.get_children():
            file = self.file_of(cursor)
            if file is None:
                continue
            if cursor.kind == K.MACRO_INSTANTIATION:
                self.unit.macros.setdefault(file, {}).setdefault(cursor.location.line, []).append(cursor.spelling)
            elif cursor.kind == K.FUNCTION_DECL:
                self.read_function(cursor, file)
            elif cursor.kind == K.VAR_DECL:
                values = [c for c in cursor.get_children() if c.kind not in SKIPPED and not c.kind.is_attribute()]
                self.add_variable(cursor, tuple(self.read(c) for c in values[-1:]))
            elif cursor.kind in (K.STRUCT_DECL, K.UNION_DECL):
                self.read_struct(cursor)
            elif cursor.kind == K.ENUM_DECL:
                self.unit.enums[cursor.spelling] = [c.spelling for c in cursor.get_children()]
        SEEN.update(file for file in self.files.values() if file and file != path)
        return self.unit


def read_unit(job):
    path, flags, text = job  # text: {file: what stands there instead}, or None
    load()
    return path, Reader(flags).read_file(path, text)


def key_of(flags):
    """Changes with every source, header, flag, and with this file."""
    digest = hashlib.sha256(pathlib.Path(__file__).read_bytes())
    for folder in ("src", "include", "verify/interleave/strategies"):
        for path in sorted((ROOT / folder).rglob("*.[chi]*")):
            digest.update(str(path).encode())
            digest.update(path.read_bytes())
    digest.update(repr(sorted(flags.items())).encode())
    return digest.hexdigest()


def read_all(flags, cache):
    """Path -> Unit of each source; flags: path -> its flags."""
    key = key_of(flags)
    if cache.is_file():
        with open(cache, "rb") as file:
            if pickle.load(file) == key:
                return pickle.load(file)
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        units = dict(pool.map(read_unit, [(path, flags[path], None) for path in sorted(flags)], chunksize=4))
    cache.parent.mkdir(parents=True, exist_ok=True)
    with open(str(cache) + ".new", "wb") as file:
        pickle.dump(key, file)
        pickle.dump(units, file)
    os.replace(str(cache) + ".new", cache)
    return units
