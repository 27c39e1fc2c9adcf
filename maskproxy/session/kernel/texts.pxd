from maskproxy.session.kernel.ops cimport Call, Output

cdef class Text(Call):
    cdef Py_ssize_t _most
    cdef Py_ssize_t _octets
    cdef Py_ssize_t _pad
    cdef Py_ssize_t end(self, const unsigned char* source, Py_ssize_t start, Py_ssize_t size)
    cdef int fitted(self, Output out, Py_ssize_t head, Py_ssize_t count) except -1

cdef class Partial(Text):
    cdef Py_ssize_t _first
    cdef Py_ssize_t _last
    cdef bytes _char

cdef class Email(Text):
    pass
