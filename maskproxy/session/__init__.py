"""Sans-I/O join of core and wire: bytes and events in, bytes and rare actions out.

``client_data`` and ``backend_data`` append to outgoing buffers; what needs the world outside (analysis, a durable
record, a backend connection) comes out as an action and comes back as a call. A plain query whose plan is known goes
through in one piece (``fast_path``); everything else goes message by message, through ``requests``, ``gate``,
``pipeline`` and ``replies``.
"""
