# Who refers to whose functions and objects, and the circles of that. After read.awk; files are the nodes.
#   edge[a, b]              the symbols of b that a names, " f g"
#   next_of[a, n], next_count[a]
# A circle is a strongly connected component of more than one file: each of them reaches each other.

function join_files(    i, n, from) {
    for (i = 1; i <= source_count; i++) {
        from = source[i]
        split("", followed)
        for (n = 1; n <= used_count[from]; n++)
            follow_name(from, used[from, n])
    }
}

# Through headers' macros and inline functions to what is linked.
function follow_name(from, name,    list, count, n) {
    if (name in followed)
        return
    followed[name] = 1
    if ((from, name) in mine)
        return
    if (name in behind) {
        count = split(behind[name], list, " ")
        for (n = 1; n <= count; n++)
            follow_name(from, list[n])
    }
    if (!(name in definers))
        return
    count = split(definers[name], list, " ")
    for (n = 1; n <= count; n++)
        if (list[n] != from && (count == 1 || folder_of(list[n]) == folder_of(from)))
            join(from, list[n], name)
}

function join(from, to, symbol) {
    if (!((from, to) in edge))
        next_of[from, ++next_count[from]] = to
    edge[from, to] = edge[from, to] " " symbol
}

function folder_of(path) {
    sub(/\/[^\/]*$/, "", path)
    return path
}

# The part of the house that a file is of: it stays the same when files move within it.
function room_of(path,    part, count) {
    count = split(path, part, "/")
    if (part[1] == "lib" && count > 2)
        return part[1] "/" part[2]
    if (part[1] == "plugins" && count > 3)
        return part[1] "/" part[2] "/" part[3]
    return part[1]
}

# The components of the files in a set (set[file] = 1) without the edges in cut[]. Sets component[file], component_size[c] and
# component_count.
function find_components(set,    name) {
    split("", visit_order)
    split("", lowest)
    split("", is_stacked)
    split("", component)
    split("", component_size)
    component_count = visit_count = stack_height = 0
    for (name in set)
        if (!(name in visit_order))
            visit(name, set)
}

# Tarjan's.
function visit(name, set,    n, other) {
    lowest[name] = visit_order[name] = ++visit_count
    stack[++stack_height] = name
    is_stacked[name] = 1
    for (n = 1; n <= next_count[name]; n++) {
        other = next_of[name, n]
        if (!(other in set) || ((name, other) in cut))
            continue
        if (!(other in visit_order)) {
            visit(other, set)
            if (lowest[other] < lowest[name])
                lowest[name] = lowest[other]
        } else if ((other in is_stacked) && visit_order[other] < lowest[name])
            lowest[name] = visit_order[other]
    }
    if (lowest[name] != visit_order[name])
        return
    component_count++
    do {
        other = stack[stack_height--]
        delete is_stacked[other]
        component[other] = component_count
        component_size[component_count]++
    } while (other != name)
}

# Sets circle_count, circle_size[c], circle_file[c, n] (sorted), circle_room[c], circle_of[file]; the largest first.
function find_circles(    i, n, c, best, all, taken, rooms, room) {
    for (i = 1; i <= source_count; i++)
        all[source[i]] = 1
    find_components(all)
    circle_count = 0
    for (;;) {
        best = 0
        for (i = 1; i <= source_count; i++) {
            c = component[source[i]]
            if (component_size[c] > 1 && !(c in taken) && (!best || component_size[c] > component_size[best]))
                best = c
        }
        if (!best)
            break
        taken[best] = ++circle_count
    }
    for (i = 1; i <= source_count; i++) # in the order of their names
        if ((c = component[source[i]]) in taken) {
            c = taken[c]
            circle_file[c, ++circle_size[c]] = source[i]
            circle_of[source[i]] = c
        }
    for (c = 1; c <= circle_count; c++) {
        split("", rooms)
        best = ""
        for (n = 1; n <= circle_size[c]; n++) {
            room = room_of(circle_file[c, n])
            if (++rooms[room] > rooms[best])
                best = room
        }
        circle_room[c] = best
    }
}

# The shortest way from a file back to itself within a circle, as "a b c a"; "" when none is shorter than `below` steps.
function way_back(start, c, below,    queue, head, tail, n, name, other, came_from, steps, way) {
    head = tail = 1
    queue[1] = start
    steps[start] = 0
    while (head <= tail) {
        name = queue[head++]
        if (steps[name] + 1 >= below)
            return ""
        for (n = 1; n <= next_count[name]; n++) {
            other = next_of[name, n]
            if (other == start) {
                way = start
                for (; name != start; name = came_from[name])
                    way = name " " way
                return start " " way
            }
            if (circle_of[other] == c && !(other in steps)) {
                steps[other] = steps[name] + 1
                came_from[other] = name
                queue[++tail] = other
            }
        }
    }
    return ""
}

function shortest_way(c,    n, way, shortest, list, length_of) {
    length_of = circle_size[c] + 1
    for (n = 1; n <= circle_size[c]; n++)
        if ((way = way_back(circle_file[c, n], c, length_of)) != "") {
            shortest = way
            length_of = split(way, list, " ") - 1
        }
    return shortest
}

# "a.c -f()-> b.c -g()-> a.c": of each step one symbol is named.
function tell_way(way,    list, count, n, text, symbols) {
    count = split(way, list, " ")
    text = list[1]
    for (n = 2; n <= count; n++) {
        split(edge[list[n - 1], list[n]], symbols, " ")
        text = text " -" symbols[1] "-> " list[n]
    }
    return text
}

# ---- what would open a circle --------------------------------------------------------------------

# How far the files of set[] are from a house without large circles: squares, so that the largest weighs most.
function tangle(set, at_most,    c, sum) {
    find_components(set)
    sum = 0
    for (c = 1; c <= component_count; c++)
        if (component_size[c] > at_most)
            sum += component_size[c] * component_size[c]
    return sum
}

function largest_component(    c, size) {
    size = 0
    for (c = 1; c <= component_count; c++)
        if (component_size[c] > size)
            size = component_size[c]
    return size
}

function symbol_count(a, b,    list) {
    return split(edge[a, b], list, " ")
}

# How often each edge is on a shortest way between two files of set[]: it carries the tangle. Sets load[a, b].
function weigh_edges(set,    start, queue, head, tail, n, name, other, steps, came_from) {
    split("", load)
    for (start in set) {
        split("", steps)
        head = tail = 1
        queue[1] = start
        steps[start] = 0
        while (head <= tail) {
            name = queue[head++]
            for (n = 1; n <= next_count[name]; n++) {
                other = next_of[name, n]
                if ((other in set) && component[other] == component[start] && !((name, other) in cut) && !(other in steps)) {
                    steps[other] = steps[name] + 1
                    came_from[other] = name
                    queue[++tail] = other
                }
            }
        }
        for (n = tail; n > 1; n--)
            for (name = queue[n]; name != start; name = came_from[name])
                load[came_from[name], name]++
    }
}

# Cuts or restores (by = 1, -1) what a candidate says: "call A B", nothing of B is used by A any more; or "move B f", nobody uses
# this symbol of B any more, since it lives elsewhere. An edge is cut when none of its symbols is left.
function cut_by(candidate, set, by,    part, list, count, n, a) {
    split(candidate, part, " ")
    if (part[1] == "call") {
        count = split(edge[part[2], part[3]], list, " ")
        for (n = 1; n <= count; n++)
            cut_symbol(part[2], part[3], list[n], by)
    } else
        for (a in set)
            if (((a, part[2]) in edge) && index(edge[a, part[2]] " ", " " part[3] " "))
                cut_symbol(a, part[2], part[3], by)
}

function cut_symbol(a, b, symbol, by) {
    cuts_of[a, b, symbol] += by
    if (by > 0 && cuts_of[a, b, symbol] == 1)
        cut_symbols[a, b]++
    else if (by < 0 && cuts_of[a, b, symbol] == 0)
        cut_symbols[a, b]--
    if (cut_symbols[a, b] == symbol_count(a, b))
        cut[a, b] = 1
    else
        delete cut[a, b]
}

function tell_candidate(candidate,    part, list, count, n, text) {
    split(candidate, part, " ")
    if (part[1] == "move")
        return part[3] " moved out of " part[2]
    text = "without the calls " part[2] " -> " part[3] ":"
    count = split(edge[part[2], part[3]], list, " ")
    for (n = 1; n <= count; n++)
        if (cuts_of[part[2], part[3], list[n]] + 0 == 0)
            text = text " " list[n]
    return text
}

# Sets candidate[n] and worth[n], which is what the load says of it; returns how many. After find_components.
function find_candidates(set, at_most,    a, b, n, i, count, list, symbols, total, known) {
    split("", candidate)
    split("", worth)
    count = 0
    for (a in set) {
        if (component_size[component[a]] <= at_most)
            continue
        for (n = 1; n <= next_count[a]; n++) {
            b = next_of[a, n]
            if (!(b in set) || component[a] != component[b] || ((a, b) in cut))
                continue
            candidate[++count] = "call " a " " b
            symbols = split(edge[a, b], list, " ")
            worth[count] = load[a, b]
            for (i = 1; i <= symbols; i++) {
                if (cuts_of[a, b, list[i]] > 0)
                    continue
                if (!((b, list[i]) in known)) {
                    candidate[++count] = "move " b " " list[i]
                    known[b, list[i]] = count
                    worth[count] = 0
                }
                worth[known[b, list[i]]] += load[a, b]
            }
        }
    }
    return count
}

# Chooses what to take away so that no component of more than at_most files is left: again and again what helps most for the fewest
# symbols; then takes back what turned out not to be needed. Sets removed_text[n], removed_left[n] (the largest circle then),
# removed_count. A guess: the fewest are hard to find, and which call is wrong a person must say.
function open_circle(c, at_most,    set, n, i, before, gain, count, best, best_gain, kept, part) {
    split("", cut)
    split("", cut_symbols)
    split("", cuts_of)
    removed_count = kept = 0
    for (n = 1; n <= circle_size[c]; n++)
        set[circle_file[c, n]] = 1
    while ((before = tangle(set, at_most)) > 0) {
        weigh_edges(set)
        count = find_candidates(set, at_most)
        best = 0
        for (i = 1; i <= count; i++) {
            cut_by(candidate[i], set, 1)
            gain = 1000 * (before - tangle(set, at_most)) + worth[i]
            cut_by(candidate[i], set, -1)
            split(candidate[i], part, " ")
            if (part[1] == "call")
                gain /= symbol_count(part[2], part[3]) - cut_symbols[part[2], part[3]]
            if (!best || gain > best_gain || (gain == best_gain && candidate[i] < candidate[best])) {
                best = i
                best_gain = gain
            }
        }
        removed[++removed_count] = candidate[best]
        cut_by(candidate[best], set, 1)
    }
    for (n = removed_count; n > 0; n--) {
        cut_by(removed[n], set, -1)
        if (tangle(set, at_most) > 0)
            cut_by(removed[n], set, 1)
        else
            removed[n] = ""
    }
    split("", cut)
    split("", cut_symbols)
    split("", cuts_of)
    for (n = 1; n <= removed_count; n++)
        if (removed[n] != "") {
            kept++
            removed_text[kept] = tell_candidate(removed[n])
            cut_by(removed[n], set, 1)
            tangle(set, at_most)
            removed_left[kept] = largest_component()
        }
    removed_count = kept
    split("", cut)
}
