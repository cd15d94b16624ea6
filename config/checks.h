// checks.h: what single values must fulfil beyond their type. Each returns 0 or -EINVAL with *e
// saying what is wrong with the quoted value; "" means "not set" and is legal except where said.
#pragma once

#include "base/error.h"

int check_not_empty(const char *value, struct rk_error *e);
int check_cidr(const char *value, struct rk_error *e);
int check_ifname(const char *value, struct rk_error *e);
int check_copy_up(const char *value, struct rk_error *e); // "" is refused
int check_socket_path(const char *value, struct rk_error *e);
int check_cgroup_name(const char *value, struct rk_error *e);
