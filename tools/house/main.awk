# The check and the report. `mode`: check, report, lower; `limits`: the file of the numbers that stand; `folders`: lines "N FOLDER".
# An offender is a line of its own:
#   circle ROOM FILES          a circle of more than 5, by the part of the house that most of its files are of
#   struct NAME FIELDS SEERS   more than 30 fields, and more than 3 .c files that see them
#   folder FOLDER FILES        more than 25 .c and .h files
# The numbers may fall and never rise.

END {
    mode = ENVIRON["mode"]
    folders = ENVIRON["folders"]
    if (file != "")
        parse_file()
    most_in_circle = 5
    most_fields = 30
    most_seers = 3
    most_in_folder = 25
    join_files()
    if (mode == "edges") {
        print_edges()
        exit
    }
    find_circles()
    find_sights()
    find_offenders()
    read_limits()
    if (mode == "report")
        report()
    else if (mode == "lower")
        lower()
    else
        check()
    exit is_bad
}

function print_edges(    pair, ends, list, count, n) {
    for (pair in edge) {
        split(pair, ends, SUBSEP)
        count = split(edge[pair], list, " ")
        for (n = 1; n <= count; n++)
            print ends[1], ends[2], list[n]
    }
}

# Sets offender[n] = "kind name", numbers[n] = "16" or "157 53", offender_count; several circles of a room are one, "9 6".
function find_offenders(    c, n, i, count, line, part, place) {
    offender_count = 0
    for (c = 1; c <= circle_count; c++) {
        if (circle_size[c] <= most_in_circle)
            continue
        place = "circle " circle_room[c]
        if (place in numbers_of)
            numbers_of[place] = numbers_of[place] " " circle_size[c]
        else
            add_offender(place, circle_size[c] "")
    }
    count = large_structs()
    for (n = 1; n <= count; n++)
        if (seers_of[large[n]] > most_seers)
            add_offender("struct " plain_name(large[n]), field_count[large[n]] " " seers_of[large[n]])
    count = split(folders, line, "\n")
    for (i = 1; i <= count; i++)
        if (split(line[i], part, " ") == 2 && part[1] > most_in_folder)
            add_offender("folder " part[2], part[1])
}

function add_offender(place, numbers) {
    offender[++offender_count] = place
    numbers_of[place] = numbers
}

# Sets large[n], the structs of too many fields, the largest first, and seers_of[s]; returns how many.
function large_structs(    name, count, n, other) {
    count = 0
    for (name in struct_file) {
        if (field_count[name] <= most_fields)
            continue
        seers_of[name] = seer_count(name)
        for (n = ++count; n > 1 && comes_before(name, other = large[n - 1]); n--)
            large[n] = other
        large[n] = name
    }
    return count
}

function comes_before(a, b) {
    return field_count[a] != field_count[b] ? field_count[a] > field_count[b] : a < b
}

function read_limits(    line, part, count) {
    while ((getline line < limits) > 0) {
        limit_line[++limit_lines] = line
        sub(/#.*/, "", line)
        count = split(line, part, " ")
        if (count < 3)
            continue
        line = part[1] " " part[2]
        sub(/^[ \t]*[^ \t]+[ \t]+[^ \t]+[ \t]+/, "", limit_line[limit_lines])
        limit_of[line] = limit_line[limit_lines]
        sub(/[ \t]*(#.*)?$/, "", limit_of[line])
        gsub(/[ \t]+/, " ", limit_of[line])
        limit_line[limit_lines] = line
        is_limit[limit_lines] = 1
    }
    close(limits)
}

# Neither number of a struct above; of circles neither the largest nor all together.
function is_within(kind, now, before,    a, b, n, m, i, sum_a, sum_b) {
    n = split(now, a, " ")
    m = split(before, b, " ")
    if (kind == "struct")
        return a[1] + 0 <= b[1] + 0 && a[2] + 0 <= b[2] + 0
    for (i = 1; i <= n; i++)
        sum_a += a[i]
    for (i = 1; i <= m; i++)
        sum_b += b[i]
    return a[1] + 0 <= b[1] + 0 && sum_a <= sum_b
}

function check(    n, place, kind, better) {
    for (n = 1; n <= offender_count; n++) {
        place = offender[n]
        kind = substr(place, 1, index(place, " ") - 1)
        if (place in limit_of && limit_of[place] == numbers_of[place])
            continue
        if (place in limit_of && is_within(kind, numbers_of[place], limit_of[place])) {
            printf "house: better: %s %s, where tools/house-limits has %s\n", place, numbers_of[place], limit_of[place]
            better = 1
            continue
        }
        is_bad = 1
        explain(kind, place)
    }
    for (place in limit_of)
        if (!(place in numbers_of)) {
            printf "house: better: %s is within the rules\n", place
            better = 1
        }
    if (better)
        print "house: please write this down: tools/check-house --lower"
    if (is_bad)
        print "house: `make house` shows all of it; the rules are in tools/house-limits"
    else
        printf "house: ok%s\n", offender_count ? " (" offender_count " old faults)" : ""
}

function explain(kind, place,    name, c, part, s) {
    name = substr(place, index(place, " ") + 1)
    printf "house: %s\n", (place in limit_of) ? place " grew from " limit_of[place] " to " numbers_of[place] : \
        "a new fault: " place " " numbers_of[place]
    if (kind == "circle") {
        for (c = 1; c <= circle_count; c++)
            if (circle_room[c] == name && circle_size[c] > most_in_circle)
                tell_circle(c)
    } else if (kind == "struct") {
        split(numbers_of[place], part, " ")
        for (s in seers_of)
            if (plain_name(s) == name)
                printf "  %s: %d fields, at most %d where more than %d .c files see them: %d do\n", struct_file[s], part[1], \
                    most_fields, most_seers, part[2]
    } else
        printf "  at most %d .c and .h files a folder\n", most_in_folder
}

function tell_circle(c,    n) {
    printf "  %d files of %s call each other in a circle, at most %d; the shortest way round:\n    %s\n   ", circle_size[c], \
        circle_room[c], most_in_circle, tell_way(shortest_way(c))
    for (n = 1; n <= circle_size[c]; n++)
        printf " %s", circle_file[c, n]
    print ""
}

# The limits as they are now, where none is above what stands.
function lower(    n, place, kind, text) {
    for (n = 1; n <= offender_count; n++) {
        place = offender[n]
        kind = substr(place, 1, index(place, " ") - 1)
        if (!(place in limit_of) || !is_within(kind, numbers_of[place], limit_of[place])) {
            printf "house: %s %s is not lower: mend it, or write it into tools/house-limits by hand and say why\n", place, \
                numbers_of[place]
            is_bad = 1
        }
    }
    if (is_bad)
        return
    for (n = 1; n <= limit_lines; n++)
        if (!is_limit[n])
            text = text limit_line[n] "\n"
        else if (limit_line[n] in numbers_of)
            text = text limit_line[n] " " numbers_of[limit_line[n]] "\n"
    printf "%s", text >limits
    close(limits)
    print "house: tools/house-limits is as low as the house"
}

# ---- the report ----------------------------------------------------------------------------------

function report(    c, n, count) {
    print "CIRCLES: .c files that refer to each other's functions and objects, each to each. At most " most_in_circle " files."
    for (c = 1; c <= circle_count; c++)
        report_circle(c)
    print "\nSTRUCTS of more than " most_fields " fields. At most " most_seers " .c files see such a one."
    count = large_structs()
    for (n = 1; n <= count; n++)
        report_struct(large[n])
    print "\nFOLDERS: .c and .h files. At most " most_in_folder ".\n" folders
}

function report_circle(c,    n, i, a, b) {
    printf "\n%d files, %s\n   ", circle_size[c], circle_room[c]
    for (n = 1; n <= circle_size[c]; n++)
        printf " %s", circle_file[c, n]
    printf "\n  the shortest way round: %s\n", tell_way(shortest_way(c))
    if (circle_size[c] <= most_in_circle)
        return
    for (n = 1; n <= circle_size[c]; n++) {
        a = circle_file[c, n]
        for (i = 1; i <= next_count[a]; i++)
            if (circle_of[b = next_of[a, i]] == c)
                printf "    %s -> %s:%s\n", a, b, edge[a, b]
    }
    open_circle(c, most_in_circle)
    printf "  one way to open it (and the largest circle that is left then):\n"
    for (n = 1; n <= removed_count; n++)
        printf "    %2d  %s\n", removed_left[n], removed_text[n]
}

function report_struct(name,    i, n, what, said) {
    printf "\n%s, %s: %d fields, %d .c files see them\n", plain_name(name), struct_file[name], field_count[name], seers_of[name]
    if (seers_of[name] == 1)
        return
    report_writers(name)
    for (n = 1; n <= fields_own[name]; n++) {
        what = field[name, n]
        printf "    %s\n", what
        if ((said = files_that("written", name, what)) != "")
            print "        written in" said
        if ((said = files_that("lent", name, what)) != "")
            print "        lent in   " said
        if ((said = files_that("read", name, what)) != "")
            print "        read in   " said
    }
}

function report_writers(name,    i, n, what, count, files, total) {
    for (i = 1; i <= source_count; i++) {
        count = 0
        for (n = 1; n <= fields_own[name]; n++)
            count += (name, field[name, n], "written", source[i]) in touched
        if (count) {
            total++
            files = files " " short_name(source[i], struct_file[name]) " (" count ")"
        }
    }
    printf "  written in %d files (how many of its fields):%s\n", total, files
}
