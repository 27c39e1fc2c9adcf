from maskproxy.session.kernel.ops cimport Op, Output

cdef class RowMasks:
    cdef readonly tuple ops
