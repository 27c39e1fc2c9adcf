"""The only asyncio code of the data path: listener, connections, backends, catalogs, worker."""
