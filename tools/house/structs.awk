# Which .c files can see the definition of a struct, and what each does to its fields. After read.awk.

# The file that an include means, among those that were read; "" of the system's.
function included_file(from, name,    place) {
    place = folder_of(from) "/" name
    if (place in is_known)
        return place
    place = "lib/include/" name
    if (place in is_known)
        return place
    place = "lib/" name
    if (place in is_known)
        return place
    return (name in is_known) ? name : ""
}

# Sets sees[file, header] for each .c file and all headers that it includes, also by others.
function find_sights(    i) {
    for (i = 1; i < ARGC; i++)
        if (ARGV[i] ~ /\.[ch]$/)
            is_known[ARGV[i]] = 1
    for (i = 1; i <= source_count; i++)
        look(source[i], source[i])
}

function look(from, through,    n, header) {
    for (n = 1; n <= included_count[through]; n++) {
        header = included_file(through, included[through, n])
        if (header != "" && !((from, header) in sees)) {
            sees[from, header] = 1
            look(from, header)
        }
    }
}

function seer_count(name,    i, count) {
    if (struct_file[name] ~ /\.c$/)
        return 1
    count = 0
    for (i = 1; i <= source_count; i++)
        count += (source[i], struct_file[name]) in sees
    return count
}

function plain_name(name) {
    sub(/@.*/, "", name)
    return name
}

# " a.c b.c": the files that do this to the field.
function files_that(mode, name, what,    i, list) {
    list = ""
    for (i = 1; i <= source_count; i++)
        if ((name, what, mode, source[i]) in touched)
            list = list " " short_name(source[i], struct_file[name])
    return list
}

# Without the folder that both are in.
function short_name(path, beside,    folder) {
    folder = folder_of(beside) "/"
    return index(path, folder) == 1 ? substr(path, length(folder) + 1) : path
}
