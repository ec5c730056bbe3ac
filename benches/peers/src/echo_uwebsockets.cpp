// An echo with uWebSockets, after its example EchoServer.cpp, and with its limits. What is sent
// within a read is corked by the library itself, so it leaves in one go for a burst.
//
// Compressed, it has the shared compressor and decompressor, which its manual recommends for
// memory, and libdeflate for what that is quicker at. Timers are off.

#include "App.h"

#include <cstdio>
#include <cstring>
#include <thread>
#include <unistd.h>

struct Nothing {};

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
    bool compressed = argc > 1 && std::strcmp(argv[1], "compressed") == 0;
    uWS::CompressOptions shared =
        uWS::CompressOptions(uWS::SHARED_COMPRESSOR | uWS::SHARED_DECOMPRESSOR);
    uWS::App app;
    app.ws<Nothing>("/*", {
        .compression = compressed ? shared : uWS::DISABLED,
        .maxPayloadLength = 100 * 1024 * 1024,
        .idleTimeout = 0,
        .maxBackpressure = 100 * 1024 * 1024,
        .closeOnBackpressureLimit = false,
        .sendPingsAutomatically = false,
        .upgrade = nullptr,
        .message = [compressed](auto *ws, std::string_view message, uWS::OpCode opCode) {
            ws->send(message, opCode, compressed);
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
