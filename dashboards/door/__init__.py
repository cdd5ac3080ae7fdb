"""The analysts' remote door: one SELECT over HTTP, answered as Arrow, CSV or JSON.

    POST /query ─► token ─► check ─► log ─► run in a child process ─► answer
                   app      worker   audit  worker, under limits      a file without a name

HTTP and not DuckDB's Quack protocol, because on DuckDB 1.5.5 Quack's authorisation does not hold: the
documented read-only macro lets `WITH … INSERT` through and refuses ATTACH, its hook does not see appends and
catalog messages, and a statement runs in the server's own process, where neither a time limit nor a memory
limit stops every function. Here each statement is checked as `dermastream sql` does, and runs in a process
that can be killed without anybody else noticing.
"""
