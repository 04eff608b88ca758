"""The studio: a page on which a musician composes, hears, sees, keeps and takes away music, and the server behind it.

A thin skin over `kapelle.api`, as the command line is. `folder`, `database`, `jobs` and `library` keep what there is; `supervisor` starts
processes of `worker`, which do the jobs by `verbs`; `studio` opens all of it. The rest of the package is the server and its page.
"""
