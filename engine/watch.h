// watch.h: one line in the log when the state of a port changes.
//
// How it works: a thread of its own sleeps until a worker says that a state may have changed, looks
// at all ports and compares with what it said last. Then it rests a second, so that a flood of
// changes costs one line per port and second, with a count of the pauses that it stands for. While
// a port is not as it should be it looks each second. A port that pauses many times a second is
// "listening again" only when a whole second passed without. What it remembers is bounded: one
// entry per port.
#pragma once

#include "base/error.h"
#include "engine/ports.h"

struct rk_watch;

// `plane` and `ports` are borrowed until watch_stop(). 0 or -code with *e.
int watch_start(struct rk_watch **watch, struct rk_plane *plane, struct rk_ports *ports,
	struct rk_error *e);
void watch_stop(struct rk_watch *watch); // NULL is allowed
