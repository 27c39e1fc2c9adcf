"""Every bound, with its reason. A peer's claim is checked against these before anything is allocated."""

KiB = 1024
MiB = 1024 * KiB

MAX_STARTUP = 10_000  # MAX_STARTUP_PACKET_LENGTH of PostgreSQL's postmaster
MAX_SESSION_KEYS = 32  # labels whose key a session has: 220 bytes each of the startup message
MAX_AUTH_MESSAGE = 64 * KiB  # PG_MAX_AUTH_TOKEN_LENGTH of PostgreSQL
MAX_MESSAGE = 256 * MiB  # one steering message (Bind may carry large parameters); CopyData streams
MAX_STATEMENT = 1 * MiB  # statement text under a masking scope
MAX_ANALYSED = 64 * KiB  # statement text given to the parsers
MAX_PAREN_DEPTH = 64  # sqlglot recurses about 12 frames per parenthesis
MAX_BRACKET_DEPTH = 4  # sqlglot is exponential on nested ARRAY[
MAX_SUBSCRIPTS = 6  # MAXDIM of PostgreSQL's arrays; sqlglot takes cubic time on x[1][1][1]...
MAX_BRACKETS = 1_000  # in one text, for the same reason
MAX_COMMENTS = 1_000  # in one text; PostgreSQL's scanner takes quadratic time on nested ones
MAX_TYPE_DEPTH = 6  # sqlglot is exponential on nested date(, int(, text( ... which may be types or calls
MAX_TOKENS = 10_000
MAX_STATEMENTS = 100  # in one text: each costs about 1 ms whatever its length
MAX_COLUMNS = 1_664  # of a select list: MaxTupleAttributeNumber in PostgreSQL's htup_details.h
MAX_COLUMNS_IN_SCOPE = 10_000  # of all relations in one FROM; more only doubles itself from WITH to WITH
MAX_USES = 20_000  # places where a column is used in one statement
MAX_RELATIONS = 200  # read in one statement: each name is looked for among those in sight
MAX_VIEW_DEPTH = 16  # views on views
MAX_SPLICES = 100  # edits of one text: each may grow it by 1 KiB, and the server's grammar reads it again
MAX_ROUNDS = 8  # of reading a recursive query until its flows are known; 3 are common
MAX_NESTED_ROUNDS = 64  # of recursive queries inside recursive ones, where rounds multiply; asyncpg's needs 24
MAX_IDENTIFIER = 63  # NAMEDATALEN - 1; the server truncates longer names, so two could become one
ANALYSIS_CPU_SECONDS = 1.0  # of one text; TPC-DS's longest query takes a fiftieth of it
ANALYSIS_SECONDS = 30.0  # the same by the clock on the wall: a busy machine gives little of its time to analysts
ANALYSIS_PATIENCE = 0.3  # the same for an analyst that runs when nobody else wants the processor
ANALYSIS_MEMORY = 256 * MiB  # above what an analyst has when it starts; 64 KiB of text need a tenth of it
MAX_ANALYSTS = 2  # per worker: one client's long analyses leave the others one; more only take the processor away
MAX_ANALYSIS = 256 * KiB  # a plan as an analyst sends it; a thousand output columns need half of it
MAX_POLICIES_SENT = 16  # to one analyst before a fresh one takes its place
MAX_MASKED_ROW = 16 * MiB  # a row with masked values is held whole
MAX_STATEMENTS_PER_SESSION = 10_000  # named prepared statements and portals one client may hold
MAX_STATEMENTS_PER_BACKEND = 1_000  # under transaction pooling, before the oldest is closed
MAX_PIPELINE = 10_000  # requests in flight (about 1 KiB each) before the client is no longer read

HIGH_WATER = 256 * KiB  # bytes waiting for a peer before the other side is no longer read
READ_SIZE = 256 * KiB

LOGIN_SECONDS = 15.0  # startup and authentication
BACKEND_CONNECT_SECONDS = 10.0
BACKEND_LIFETIME_SECONDS = 3600.0  # as PgBouncer's server_lifetime: roles, settings, memory are those of its login
RESET_SECONDS = 5.0  # of a used connection; DISCARD ALL takes 0.1 ms, and longer to drop temporary tables
AUDIT_ACK_SECONDS = 5.0  # a record that is not durable by then refuses its statement
DRAIN_SECONDS = 30.0
SQL_TEXT_IN_RECORD = 32 * KiB  # longer text is recorded as its digest only
