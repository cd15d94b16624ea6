// bind.h: whether an address of the host can be bound, and what to do when it cannot.
#pragma once

#include "base/addr.h"
#include "base/error.h"

// Fills *e for a bind(2) to `addr` that failed with errno `code`: the address, the reason, the
// remedy (for a privileged port the sysctl and the capability). Returns -code.
int bind_explain(const struct rk_addr *addr, int socktype, int code, struct rk_error *e);

// Binds a socket of its own to `addr` and closes it again. For drivers whose backend opens the
// port and does not say why it could not. 0, or -code with *e as bind_explain() fills it.
int bind_try(const struct rk_addr *addr, int socktype, struct rk_error *e);
