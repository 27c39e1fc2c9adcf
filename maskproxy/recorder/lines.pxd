from maskproxy.audit.plain cimport Plain
