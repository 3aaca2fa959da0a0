# Reads C: what each file defines, what it refers to, the fields of its structs and who touches them. For clang-formatted C17
# without tricks, as it is here; of both sides of an #if. Filled for the other files of this folder, headers being read first:
#   source[i], source_count                     the .c files
#   definers[symbol]                            " FILE FILE": .c files that define it for others to link
#   mine[file, symbol]                          what this .c file defines, for others or for itself
#   used[file, n], used_count[file]             identifiers in a .c file's code, each once
#   behind[name]                                " NAME NAME": identifiers in a header's macro or inline function
#   included[file, n], included_count[file]     as they are written; a folder's own file or below an -I
#   struct_file[s], field_count[s]              s: its name, of a .c file's own NAME@FILE; a struct that stands within it counts by
#                                               its fields
#   field[s, n], fields_own[s]                  as they are written
#   touched[s, field, mode, file]               mode: read, written, lent (its address is taken)

BEGIN {
    split("auto break case const continue default do double else enum extern float for goto if inline int long register restrict " \
        "return short signed sizeof static struct switch typedef union unsigned void volatile while char bool true false NULL " \
        "_Atomic _Alignas alignas _Static_assert static_assert typeof __typeof__ __attribute__ __auto_type _Bool", words)
    for (n in words)
        is_keyword[words[n]] = 1
    split("= += -= *= /= %= &= |= ^= <<= >>= ++ --", words)
    for (n in words)
        is_writing[words[n]] = 1
    split("return case else sizeof", words)
    for (n in words)
        is_before_unary[words[n]] = 1
    token_count = 0
}

FNR == 1 {
    if (file != "")
        parse_file()
    file = FILENAME
    is_header = file ~ /\.h$/
    if (!is_header)
        source[++source_count] = file
    in_comment = in_directive = token_count = 0
}
{
    line = $0
    if (in_comment || line ~ /["'\/]/)
        line = without_text(line)
    if (in_directive || line ~ /^[ \t]*#/) {
        directive = (in_directive ? directive " " : "") line
        in_directive = $0 ~ /\\$/
        if (!in_directive)
            read_directive(directive)
        next
    }
    separate(line)
    for (n = 1; n <= part_count; n++)
        token[++token_count] = part[n]
}

# The code of a line: no comment, a string is "", a character is 0. An include keeps its name.
function without_text(text,    code, at, mark) {
    code = ""
    while (text != "") {
        if (in_comment) {
            if ((at = index(text, "*/")) == 0)
                return code
            text = substr(text, at + 2)
            in_comment = 0
            continue
        }
        if (code ~ /^[ \t]*#[ \t]*include[ \t]*$/ && text ~ /^"/)
            return code text
        if (!match(text, /\/\*|\/\/|"([^"\\]|\\.)*"|'([^'\\]|\\.)*'/))
            return code text
        mark = substr(text, RSTART, 2)
        code = code substr(text, 1, RSTART - 1)
        if (code ~ /^[ \t]*#[ \t]*include[ \t]*$/ && mark ~ /^"/)
            return code substr(text, RSTART)
        if (mark == "//")
            return code
        if (mark == "/*") {
            in_comment = 1
            text = substr(text, RSTART + 2)
            code = code " "
            continue
        }
        code = code (mark ~ /^"/ ? " \"\" " : " 0 ")
        text = substr(text, RSTART + RLENGTH)
    }
    return code
}

# Sets part[] and part_count to the tokens of a text.
function separate(text) {
    gsub(/[A-Za-z_][A-Za-z0-9_]*|[0-9][A-Za-z0-9_.]*|""|->|\.\.\.|<<=|>>=|<<|>>|&&|\|\||\+\+|--|[-+*\/%&|^<>=!]=|[^A-Za-z0-9_ \t"]/, " & ", text)
    part_count = split(text, part, " ")
}

function read_directive(text,    name, n, start) {
    gsub(/\\/, " ", text)
    if (text ~ /^[ \t]*#[ \t]*include[ \t]*["<]/) {
        name = text
        sub(/^[^"<]*["<]/, "", name)
        sub(/[">].*$/, "", name)
        included[file, ++included_count[file]] = name
        return
    }
    if (text !~ /^[ \t]*#[ \t]*define[ \t]/)
        return
    separate(text)
    name = part[3]
    if (!is_header)
        mine[file, name] = 1
    for (n = 4; n <= part_count; n++)
        if (part[n] ~ /^[A-Za-z_]/ && part[n - 1] != "." && part[n - 1] != "->" && !(part[n] in is_keyword))
            note_use(name, part[n])
}

# within: the macro or inline function of a header; what a .c file uses is the file's, wherever in it.
function note_use(within, name) {
    if (is_header) {
        if (!((within, name) in is_noted)) {
            is_noted[within, name] = 1
            behind[within] = behind[within] " " name
        }
    } else if (!((file, name) in is_noted)) {
        is_noted[file, name] = 1
        used[file, ++used_count[file]] = name
    }
}

function define(name, is_private) {
    if (is_header)
        return
    mine[file, name] = 1
    if (!is_private && index(definers[name] " ", " " file " ") == 0)
        definers[name] = definers[name] " " file
}

function parse_file(    at, end, name) {
    close_brackets()
    split("", file_variable)
    at = 1
    while (at <= token_count) {
        for (end = at; end <= token_count && token[end] != ";" && token[end] != "{" && token[end] != "}"; end++)
            if (token[end] == "(" && closing[end])
                end = closing[end]
        if (end > token_count)
            break
        if (token[end] == ";") {
            read_declaration(at, end - 1)
            at = end + 1
        } else if (token[end] == "}" || (token[at] == "extern" && end == at + 2))
            at = end + 1 # extern "C"
        else if (has_token("=", at, end)) {
            end = end_of_declaration(end)
            read_declaration(at, end - 1)
            at = end + 1
        } else if ((name = function_name(at, end - 1)) != "") {
            read_function(name, at, end)
            at = closing[end] + 1
        } else if (has_token("struct", at, end) || has_token("union", at, end)) {
            read_aggregate(at, end)
            at = end_of_declaration(end) + 1
        } else
            at = end_of_declaration(end) + 1
    }
}

# closing[i]: where the bracket at i is closed
function close_brackets(    at, depth, open, mark) {
    split("", closing)
    depth = 0
    for (at = 1; at <= token_count; at++) {
        mark = token[at]
        if (mark == "(" || mark == "{" || mark == "[")
            open[++depth] = at
        else if ((mark == ")" || mark == "}" || mark == "]") && depth > 0)
            closing[open[depth--]] = at
    }
    while (depth > 0)
        closing[open[depth--]] = token_count
}

function end_of_declaration(at) {
    for (; at <= token_count && token[at] != ";"; at++)
        if (closing[at])
            at = closing[at]
    return at
}

function has_token(mark, from, to,    at) {
    for (at = from; at <= to; at++) {
        if (token[at] == mark)
            return at
        if (token[at] == "(" && closing[at])
            at = closing[at]
    }
    return 0
}

# The name before the parameters; "" of what is no function. Words in capitals before brackets are annotations.
function function_name(from, to,    at) {
    for (at = from; at < to; at++)
        if (token[at + 1] == "(") {
            if (token[at] ~ /^[A-Za-z_]/ && token[at] !~ /^[A-Z_0-9]+$/ && !(token[at] in is_keyword))
                return token[at]
            at = closing[at + 1]
        }
    return ""
}

# At the first column: a prototype, an object, or a macro that makes them.
function read_declaration(from, to,    at, equals, name, is_static, is_extern) {
    declare_variables(from, to, 1)
    if (token[from] ~ /^[A-Z][A-Z_0-9]*$/ && token[from + 1] == "(") {
        read_code(from, to, token[from])
        return
    }
    is_static = has_token("static", from, to)
    is_extern = has_token("extern", from, to)
    equals = has_token("=", from, to)
    if (equals)
        read_code(equals, to, is_header ? "" : file)
    if (token[from] == "typedef")
        return
    if (!equals && (name = function_name(from, to)) != "") {
        note_return(name, from)
        return
    }
    if (is_extern && !equals)
        return
    name = ""
    for (at = from; at <= to && token[at] != "=" && token[at] != "["; at++)
        if (token[at] ~ /^[A-Za-z_]/ && !(token[at] in is_keyword) && token[at - 1] !~ /^(struct|union|enum)$/)
            name = token[at]
        else if (token[at] == "(" && token[at + 1] != "*" && closing[at])
            at = closing[at]
    if (name != "" && token[to] != name "{")
        define(name, is_static)
}

# The struct that a function returns, or a pointer to one.
function note_return(name, at) {
    for (; token[at] != name; at++)
        if (token[at] == "struct")
            returned[name] = token[at + 1]
}

function read_function(name, from, open) {
    define(name, has_token("static", from, open))
    note_return(name, from)
    split("", variable)
    declare_variables(from, open - 1, 0)
    read_code(open, closing[open], name)
}

# struct S *a, b[2]: remembered by name, of the file or of the function under way.
function declare_variables(from, to, is_of_file,    at) {
    for (at = from; at < to; at++)
        if (token[at] == "struct" || token[at] == "union")
            declare_at(at, to, is_of_file)
}

function declare_at(at, to, is_of_file,    type) {
    type = token[at + 1]
    at += 2
    while (at <= to) {
        while (token[at] == "*" || token[at] == "const" || token[at] == "restrict" || token[at] == "_Atomic")
            at++
        if (token[at] !~ /^[A-Za-z_]/ || token[at + 1] == "(" || (token[at] in is_keyword))
            return
        if (is_of_file)
            file_variable[token[at]] = type
        else
            variable[token[at]] = type
        at++
        while (token[at] == "[")
            at = closing[at] + 1
        if (token[at] != "," || (token[at + 1] != "*" && token[at + 2] !~ /^[,;=\[]$/))
            return
        at++
    }
}

function type_of(name) {
    if (name in variable)
        return variable[name]
    return (name in file_variable) ? file_variable[name] : ""
}

# A function's body or an initializer.
function read_code(from, to, within,    at, mark, before, depth, brace_type) {
    depth = 0
    for (at = from; at <= to; at++) {
        mark = token[at]
        before = token[at - 1]
        if (mark == "{")
            brace_type[++depth] = type_of_brace(at, brace_type[depth - 1])
        else if (mark == "}")
            depth--
        else if (mark == "." && (before == "{" || before == ",")) {
            if (depth > 0 && brace_type[depth] != "")
                touch(brace_type[depth], token[at + 1], "written")
        } else if (mark == "->" || mark == ".") {
            if (before == ")")
                follow(at, type_of_brackets(at - 1), at)
        } else if (mark !~ /^[A-Za-z_]/ || before == "->" || before == ".")
            continue
        else if (mark == "struct" || mark == "union" || mark == "enum") {
            if (mark != "enum")
                declare_at(at, to, 0)
            at++
        } else if (!(mark in is_keyword)) {
            note_use(within, mark)
            if (token[at + 1] == "->" || token[at + 1] == "." || token[at + 1] == "[")
                follow(at + 1, type_of(mark), at)
        }
    }
}

# Of the struct that this brace begins to fill; outer: of what is around it.
function type_of_brace(at, outer,    before, start) {
    before = token[at - 1]
    if (before == ")") {
        start = opening(at - 1)
        return (token[start + 1] == "struct") ? token[start + 2] : ""
    }
    if (before == "=") {
        start = at - 2
        while (token[start] == "]")
            start = opening(start) - 1
        if (token[start - 1] == ".")
            return field_type[outer, token[start]]
        return type_of(token[start])
    }
    return (before == "{" || before == ",") ? outer : ""
}

function opening(at,    depth) {
    depth = 0
    for (; at > 0; at--) {
        if (token[at] == ")" || token[at] == "]" || token[at] == "}")
            depth++
        else if ((token[at] == "(" || token[at] == "[" || token[at] == "{") && --depth == 0)
            return at
    }
    return 1
}

# Of a call, a cast or a dereference that is closed here, when it can be known.
function type_of_brackets(at,    start, next_one) {
    start = opening(at)
    if (token[start - 1] in returned)
        return returned[token[start - 1]]
    if (token[start - 1] ~ /^[A-Za-z_]/ && !(token[start - 1] in is_before_unary))
        return ""
    next_one = start + 1
    while (token[next_one] == "*" || token[next_one] == "&" || token[next_one] == "(")
        next_one++
    if (token[next_one] == "struct")
        return token[next_one + 1]
    return (next_one + 1 == at) ? type_of(token[next_one]) : ""
}

# From the first -> . or [ behind a value of this struct: every field on the way is touched. base: where the value begins;
# direct[n]: what follows field n is a part of it, not what it points to.
function follow(at, type, base,    count, names, types, direct, mode, n, last_array) {
    count = 0
    type = as_seen_here(type)
    while (type != "" || token[at] == "[") {
        if (token[at] == "[") {
            direct[count] = 1
            last_array = 0
            at = closing[at] + 1
            continue
        }
        if (token[at] != "->" && token[at] != ".")
            break
        if (!((type, token[at + 1]) in is_field))
            break
        direct[count] = (token[at] == ".") || direct[count] == 1 && token[at] != "->"
        names[++count] = token[at + 1]
        types[count] = type
        last_array = ((type, token[at + 1]) in is_array)
        type = as_seen_here(field_type[type, token[at + 1]])
        direct[count] = 0
        at += 2
    }
    if (count == 0)
        return
    mode = mode_of(base, at)
    if (mode == "read" && last_array)
        mode = "lent"
    for (n = count; n > 0; n--) {
        touch(types[n], names[n], mode)
        # What is reached through a pointer does not change what points to it.
        if (!direct[n - 1])
            mode = "read"
    }
}

function mode_of(base, end,    before, caller) {
    before = token[base - 1]
    if (before == "++" || before == "--")
        return "written"
    if (before == "&" && (token[base - 2] !~ /^([A-Za-z0-9_].*|\)|\])$/ || (token[base - 2] in is_before_unary))) {
        caller = token[base - 3]
        if (token[base - 2] == "(" && caller ~ /^atomic_load/)
            return "read"
        return (token[base - 2] == "(" && caller ~ /^atomic_/) ? "written" : "lent"
    }
    if (token[end] in is_writing)
        return (before == "*" && token[base - 2] ~ /^[;{}()]$/) ? "read" : "written"
    return "read"
}

function as_seen_here(type) {
    return ((type "@" file) in struct_file) ? type "@" file : type
}

function touch(type, name, mode) {
    type = as_seen_here(type)
    if (!is_header && ((type, name) in is_field))
        touched[type, name, mode, file] = 1
}

function read_aggregate(from, open,    name, at) {
    name = token[open - 1]
    if (name ~ /^(struct|union)$/ || name == ")") {
        at = closing[open] + 1
        name = (token[from] == "typedef" && token[at] ~ /^[A-Za-z_]/) ? token[at] : file "@" ++nameless
    }
    if (!is_header && name !~ /@/)
        name = name "@" file # others of this name are not it
    struct_file[name] = file
    field_count[name] = read_fields(name, open + 1, closing[open] - 1)
}

# Returns how many leaves there are.
function read_fields(name, from, to,    at, end, inner, leaves) {
    leaves = 0
    for (at = from; at <= to; at = end + 1) {
        inner = 0
        for (end = at; end <= to && token[end] != ";"; end++)
            if (closing[end]) {
                if (token[end] == "{")
                    inner = end
                end = closing[end]
            }
        leaves += read_field(name, at, end - 1, inner)
    }
    return leaves
}

function read_field(name, from, to, inner,    leaves, type, n, kind) {
    if (token[from] ~ /^_?[Ss]tatic_assert$/)
        return 0
    if (!inner) {
        type = (n = has_token("struct", from, to)) || (n = has_token("union", from, to)) ? token[n + 1] : ""
        return declare_fields(name, from, to, type)
    }
    kind = token[inner - 1]
    if (kind ~ /^(struct|union|enum)$/)
        type = name "." ++nameless
    else {
        type = kind
        kind = token[inner - 2]
    }
    if (kind == "enum")
        return declare_fields(name, closing[inner] + 1, to, "")
    leaves = read_fields(type, inner + 1, closing[inner] - 1)
    if (closing[inner] < to)
        declare_fields(name, closing[inner] + 1, to, type)
    else
        for (n = 1; n <= fields_own[type]; n++)
            add_field(name, field[type, n], field_type[type, field[type, n]], (type, field[type, n]) in is_array)
    return leaves
}

# The declarators of a field's declaration; returns how many.
function declare_fields(name, from, to, type,    at, found, array, count) {
    found = ""
    count = array = 0
    for (at = from; at <= to + 1; at++) {
        if (at > to || token[at] == ",") {
            if (found != "") {
                add_field(name, found, type, array)
                count++
            }
            found = ""
            array = 0
        } else if (token[at] == "[") {
            array = 1
            at = closing[at]
        } else if (token[at] == "(") {
            if (token[at + 1] == "*")
                found = token[at + 2] == "const" ? token[at + 3] : token[at + 2]
            at = closing[at]
            if (token[at + 1] == "(")
                at = closing[at + 1]
        } else if (token[at] == ":") {
            at++
        } else if (token[at] ~ /^[A-Za-z_]/ && !(token[at] in is_keyword)) {
            if (found == "" || token[at] !~ /^[A-Z_0-9]+$/)
                found = token[at]
        }
    }
    return count
}

function add_field(name, found, type, array) {
    field[name, ++fields_own[name]] = found
    is_field[name, found] = 1
    field_type[name, found] = type
    if (array)
        is_array[name, found] = 1
}
