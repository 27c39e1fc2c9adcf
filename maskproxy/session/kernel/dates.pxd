from maskproxy.session.kernel.numbers cimport Whole
from maskproxy.session.kernel.ops cimport Call, Output

cdef class BinaryBeginning(Call):
    cdef Whole _whole
    cdef int _unit
    cdef long long _day
    cdef long long _first
    cdef long long _last

cdef class BinaryConstant(Call):
    cdef bytes _value
    cdef Whole _whole
    cdef long long _first
    cdef long long _last

cdef class TextConstant(Call):
    cdef bytes _value
    cdef int _time
    cdef int _zone

cdef class TextBeginning(Call):
    cdef int _unit
    cdef int _time
    cdef int _zone
