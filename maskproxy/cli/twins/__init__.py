"""The test of non-interference: two databases that differ in protected values only, and whoever talks to them through
the proxy must be sent the same bytes by both. What differs tells a protected value, whatever statement brought it out.

    schema, rebuild        a user's definitions, read and made again without a row
    layout, candidates,    rows that fit them: the same where the scope sees them, alike where a mask shows a part, else
    pairs, values          different
    databases, proxy       the twins, and the proxy before them
    targets, statements    what is asked
    transcript, compare    what is answered, byte by byte
    run                    all of it, for ``maskproxy test --noninterference``
"""
