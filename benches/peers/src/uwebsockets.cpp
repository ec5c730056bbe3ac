// A fan-out with uWebSockets, after its example Broadcast.cpp: publishing happens outside of the
// handler, where the loop can cork each subscriber; within it the corked publisher has the buffer.

#include "App.h"

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <unistd.h>

struct Nothing {};

static uint64_t number = 0;

static void publish(uWS::App &app, uint32_t count, size_t size) {
    std::string message(size < sizeof number ? sizeof number : size, 'x');
    for (; count > 0; count--) {
        // x86 has the lowest byte first.
        std::memcpy(message.data(), &number, sizeof number);
        number++;
        app.publish("fan", message, uWS::OpCode::BINARY, false);
    }
}

static void announce(int port) {
    std::printf("%d\n", port);
    std::fflush(stdout);
    std::thread([] {
        char byte;
        while (read(STDIN_FILENO, &byte, 1) > 0) {
        }
        _exit(0);
    }).detach();
}

int main(int argc, char **argv) {
    unsigned int waiting = 64 * 1024;
    if (argc > 1) {
        std::from_chars(argv[1], argv[1] + std::strlen(argv[1]), waiting);
    }
    uWS::App app;
    uWS::Loop *loop = uWS::Loop::get();
    app.ws<Nothing>("/*", {
        .compression = uWS::DISABLED,
        .idleTimeout = 0,
        .maxBackpressure = waiting,
        .closeOnBackpressureLimit = false,
        .sendPingsAutomatically = false,
        .upgrade = nullptr,
        .open = [](auto *ws) { ws->subscribe("fan"); },
        .message = [&app, loop](auto *, std::string_view message, uWS::OpCode) {
            unsigned int count = 0;
            size_t size = 0;
            if (std::sscanf(std::string(message).c_str(), "publish %u %zu", &count, &size) == 2) {
                loop->defer([&app, count, size] { publish(app, count, size); });
            }
        },
    });
    app.listen("127.0.0.1", 0, [](auto *socket) {
        if (socket) {
            announce(us_socket_local_port(0, (us_socket_t *) socket));
        }
    });
    app.run();
    return 1;
}
