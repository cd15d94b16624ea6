// gvproxy.h: where the network driver gvisor-tap-vsock has its sockets, for the port driver.
#pragma once

#define RK_GVPROXY_DIR     "gvproxy"  // in the state directory, 0700
#define RK_GVPROXY_API     "api.sock" // gvproxy's own HTTP API
#define RK_GVPROXY_NETWORK "net.sock" // frames
#define RK_GVPROXY_CONFIG  "gvproxy.yaml"
