// explain.h: why the kernel refuses namespaces here, and which sysctl allows them.
#pragma once

#include "base/error.h"

// clone(2) with namespace flags failed with `code`: fills *e with the reason; returns -code.
int explain_clone(int code, struct rk_error *e);
// Adds the hint to an EPERM or EACCES that comes from a user namespace without capabilities
// (AppArmor lets it be made and takes its capabilities away). Returns -e->code.
int explain_denied(struct rk_error *e);
