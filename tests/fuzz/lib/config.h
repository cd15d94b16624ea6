// config.h: what holds for every configuration that was accepted, whatever it was read from.
#pragma once

#include "config/config.h"

// It prints as a file that reads back to the same, and the checks across keys accept it or say why
// not.
void fuzz_config_require(const struct rk_config *config);
