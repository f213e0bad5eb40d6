/*
 * A load client that costs less than what it measures: one thread, epoll, OpenSSL. It knows three protocols just well enough
 * to tell an answer from a failure, and counts an operation only when the answer is the one that was expected.
 *
 * What it sends is made by `scripts.ts` and read from files, so that no protocol is written twice:
 *   script  = steps of one connection, one after the other
 *   step    = u32 length, u32 expected answer, u32 patch offset (0xffffffff: none), u32 patch width, bytes
 * The expected answer is an HTTP status, an MQTT packet type or an AMQP performative. All numbers are big-endian.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MAX_STEPS = 8, MAX_WINDOW = 1024, BUFFER = 64 * 1024, BUCKETS = 4096 };
enum protocol { HTTP, MQTT, AMQP, BYTE };
enum mode { CONNECT, STREAM, HOLD };

struct step {
  uint32_t length, expect, patch_offset, patch_width;
  unsigned char *bytes;
};
struct script {
  int steps;
  struct step step[MAX_STEPS];
};
struct identity {
  SSL_CTX *context;
  struct script script;
};
struct connection {
  int fd, identity, step, handshaken, started, waiting_for_write;
  SSL *ssl;
  uint64_t began;
  unsigned char in[BUFFER];
  size_t in_length;
  unsigned char *out;
  size_t out_length, out_sent, out_size;
  char operation[128];
  /* Streaming: what was sent and not yet answered. */
  uint32_t sent, answered;
  int64_t credit;
  uint64_t sent_at[MAX_WINDOW];
};

static struct {
  const char *host, *name, *ca, *identities;
  int port, connections, window;
  double warmup, seconds;
  enum protocol protocol;
  enum mode mode;
} options = {"127.0.0.1", "localhost", NULL, NULL, 0, 1, 1, 1, 2, HTTP, CONNECT};

static struct identity *identities;
static int identity_count, next_identity, epoll_fd, ready_count;
static struct connection *connections;
static uint64_t operations, histogram[BUCKETS];
static int measuring, stopping;

static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "load: ");
  vfprintf(stderr, format, arguments);
  fprintf(stderr, "\n");
  va_end(arguments);
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static double own_cpu(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Eight buckets an octave of microseconds: 9 % wide. */
static int bucket_of(uint64_t ns) {
  uint64_t us8 = ns / 125;
  if (us8 < 8) return (int)us8;
  int octave = 63 - __builtin_clzll(us8);
  int bucket = octave * 8 + (int)((us8 >> (octave - 3)) & 7);
  return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static double microseconds_of(int bucket) {
  if (bucket < 24) return bucket / 8.0;
  return (double)((uint64_t)(8 + (bucket & 7)) << (bucket / 8 - 3)) / 8.0;
}

static double percentile(double share) {
  uint64_t total = 0, seen = 0;
  for (int i = 0; i < BUCKETS; i++) total += histogram[i];
  for (int i = 0; i < BUCKETS; i++) {
    seen += histogram[i];
    if (total > 0 && (double)seen >= share * (double)total) return microseconds_of(i);
  }
  return 0;
}

static void record(uint64_t began) {
  if (!measuring) return;
  operations++;
  histogram[bucket_of(now_ns() - began)]++;
}

static uint32_t read_u32(const unsigned char *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void load_script(struct script *script, const char *path) {
  FILE *file = fopen(path, "rb");
  unsigned char head[16];
  if (file == NULL) fail("cannot read %s", path);
  while (fread(head, 1, sizeof head, file) == sizeof head) {
    if (script->steps == MAX_STEPS) fail("%s has more than %d steps", path, MAX_STEPS);
    struct step *step = &script->step[script->steps++];
    step->length = read_u32(head);
    step->expect = read_u32(head + 4);
    step->patch_offset = read_u32(head + 8);
    step->patch_width = read_u32(head + 12);
    step->bytes = malloc(step->length + 1);
    if (step->bytes == NULL || fread(step->bytes, 1, step->length, file) != step->length) fail("%s is cut short", path);
    step->bytes[step->length] = 0;
  }
  fclose(file);
}

static SSL_CTX *context_of(const char *certificate, const char *key) {
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set1_groups_list(context, "X25519");
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (options.ca != NULL) {
    if (SSL_CTX_load_verify_locations(context, options.ca, NULL) != 1) fail("cannot read %s", options.ca);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  }
  if (strcmp(certificate, "-") == 0) return context;
  if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1) fail("cannot use %s", certificate);
  if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) fail("cannot use %s", key);
  return context;
}

/* A line an identity: certificate, key, script. Neighbours that share a certificate share its context. */
static void load_identities(const char *path) {
  FILE *file = fopen(path, "r");
  char certificate[512], key[512], script[512], last[512] = "";
  SSL_CTX *context = NULL;
  if (file == NULL) fail("cannot read %s", path);
  while (fscanf(file, "%511s %511s %511s", certificate, key, script) == 3) {
    identities = realloc(identities, sizeof *identities * (size_t)(identity_count + 1));
    struct identity *identity = &identities[identity_count++];
    memset(identity, 0, sizeof *identity);
    if (context == NULL || strcmp(last, certificate) != 0) context = context_of(certificate, key);
    snprintf(last, sizeof last, "%s", certificate);
    identity->context = context;
    load_script(&identity->script, script);
  }
  fclose(file);
  if (identity_count == 0) fail("%s names no identity", path);
}

static void queue(struct connection *c, const unsigned char *bytes, size_t length) {
  if (c->out_sent == c->out_length) c->out_sent = c->out_length = 0;
  if (c->out_length + length > c->out_size) {
    c->out_size = (c->out_length + length) * 2;
    c->out = realloc(c->out, c->out_size);
    if (c->out == NULL) fail("out of memory");
  }
  memcpy(c->out + c->out_length, bytes, length);
  c->out_length += length;
}

/* A poll names the operation that the answer before it named. */
static void queue_step(struct connection *c, const struct step *step) {
  static const char mark[] = "@OPERATION@";
  const char *at = options.protocol == HTTP ? memmem(step->bytes, step->length, mark, sizeof mark - 1) : NULL;
  if (at == NULL) {
    queue(c, step->bytes, step->length);
    return;
  }
  size_t before = (size_t)(at - (const char *)step->bytes);
  queue(c, step->bytes, before);
  queue(c, (const unsigned char *)c->operation, strlen(c->operation));
  queue(c, step->bytes + before + sizeof mark - 1, step->length - before - (sizeof mark - 1));
}

static void watch(struct connection *c, int writing) {
  if (c->waiting_for_write == writing) return;
  c->waiting_for_write = writing;
  struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0u), .data.ptr = c};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

static void open_connection(struct connection *c) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
  int one = 1;
  inet_pton(AF_INET, options.host, &address.sin_addr);
  c->out_length = c->out_sent = c->in_length = 0;
  c->step = c->handshaken = c->started = c->waiting_for_write = 0;
  c->sent = c->answered = 0;
  c->credit = options.protocol == AMQP ? 0 : INT64_MAX;
  c->operation[0] = 0;
  c->identity = next_identity++ % identity_count;
  c->began = now_ns();
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) fail("connect: %s", strerror(errno));
  c->ssl = SSL_new(identities[c->identity].context);
  SSL_set_tlsext_host_name(c->ssl, options.name);
  if (options.ca != NULL) SSL_set1_host(c->ssl, options.name);
  SSL_set_fd(c->ssl, c->fd);
  SSL_set_connect_state(c->ssl);
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
  c->waiting_for_write = 1;
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void close_connection(struct connection *c) {
  /* Measured connections end with a reset, or the ports of the machine run out. */
  struct linger linger = {.l_onoff = 1, .l_linger = 0};
  SSL_set_quiet_shutdown(c->ssl, 1);
  SSL_free(c->ssl);
  setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  close(c->fd);
  c->fd = -1;
}

static const struct script *script_of(const struct connection *c) { return &identities[c->identity].script; }

/* In a stream the last step is what is repeated. */
static int setup_steps(const struct connection *c) { return script_of(c)->steps - (options.mode == STREAM ? 1 : 0); }

static void fill_window(struct connection *c) {
  struct step *step = (struct step *)&script_of(c)->step[script_of(c)->steps - 1];
  while (!stopping && c->sent - c->answered < (uint32_t)options.window && c->credit > 0) {
    uint32_t number = step->patch_width == 2 ? c->sent % 65535 + 1 : c->sent;
    for (uint32_t i = 0; step->patch_offset != 0xffffffffu && i < step->patch_width; i++)
      step->bytes[step->patch_offset + i] = (unsigned char)(number >> (8 * (step->patch_width - 1 - i)));
    c->sent_at[c->sent % MAX_WINDOW] = now_ns();
    queue(c, step->bytes, step->length);
    c->sent++;
    c->credit--;
  }
}

static void answered(struct connection *c, uint32_t count) {
  for (; count > 0; count--) record(c->sent_at[c->answered++ % MAX_WINDOW]);
  if (c->answered > c->sent) fail("more answers than messages");
  fill_window(c);
}

static void setup_done(struct connection *c) {
  ready_count++;
  if (options.mode == STREAM) fill_window(c);
}

/* The answer that the current step waits for has come. Returns 1 when the connection was closed. */
static int step_done(struct connection *c) {
  if (c->step >= setup_steps(c)) return 0;
  c->step++;
  if (c->step < setup_steps(c)) {
    queue_step(c, &script_of(c)->step[c->step]);
    return 0;
  }
  if (options.mode != CONNECT) {
    setup_done(c);
    return 0;
  }
  record(c->began);
  close_connection(c);
  if (!stopping) open_connection(c);
  return 1;
}

static uint32_t expected(const struct connection *c) {
  int last = script_of(c)->steps - 1;
  return script_of(c)->step[c->step < last ? c->step : last].expect;
}

static void unexpected(const struct connection *c, const char *what, uint32_t got) {
  fail("step %d expected %s %u and got %u: %.*s", c->step, what, expected(c), got, (int)(c->in_length < 600 ? c->in_length : 600), c->in);
}

/* Each returns how many bytes of an answer it took, 0 when there is no whole one yet, -1 when the connection went with it. */
static long take_http(struct connection *c) {
  const char *end = memmem(c->in, c->in_length, "\r\n\r\n", 4);
  if (end == NULL) return 0;
  size_t head = (size_t)(end - (const char *)c->in) + 4, body = 0;
  unsigned char saved = c->in[head - 1];
  c->in[head - 1] = 0;
  const char *length = strcasestr((const char *)c->in, "\r\ncontent-length:");
  if (length != NULL) body = strtoul(length + 17, NULL, 10);
  c->in[head - 1] = saved;
  if (c->in_length < head + body) return 0;
  uint32_t status = (uint32_t)atoi((const char *)c->in + 9);
  if (status != expected(c)) unexpected(c, "status", status);
  static const char key[] = "\"operationId\":\"";
  const char *operation = memmem(c->in + head, body, key, sizeof key - 1);
  if (operation != NULL) {
    operation += sizeof key - 1;
    const char *quote = memchr(operation, '"', sizeof c->operation - 1);
    if (quote != NULL) snprintf(c->operation, sizeof c->operation, "%.*s", (int)(quote - operation), operation);
  }
  if (c->step >= setup_steps(c)) answered(c, 1);
  else if (step_done(c)) return -1;
  return (long)(head + body);
}

static long take_mqtt(struct connection *c) {
  size_t length = 0, at = 1;
  int shift = 0;
  for (;; at++, shift += 7) {
    if (at >= c->in_length) return 0;
    length |= (size_t)(c->in[at] & 127) << shift;
    if ((c->in[at] & 128) == 0) break;
  }
  size_t total = at + 1 + length;
  if (c->in_length < total) return 0;
  uint32_t type = c->in[0] >> 4;
  if (type != expected(c)) unexpected(c, "packet", type);
  if (type == 2 && c->in[3] != 0) unexpected(c, "a CONNACK of 0, not packet", c->in[3]);
  if (c->step >= setup_steps(c)) answered(c, 1);
  else if (step_done(c)) return -1;
  return (long)total;
}

/* Reads an unsigned number of a list; returns the place behind it. Absent ones count as `missing`. */
static const unsigned char *read_number(const unsigned char *p, const unsigned char *end, uint32_t *value, uint32_t missing) {
  *value = missing;
  if (p >= end) return end;
  switch (*p) {
    case 0x40: return p + 1;
    case 0x41: *value = 1; return p + 1;
    case 0x42: *value = 0; return p + 1;
    case 0x43: *value = 0; return p + 1;
    case 0x50: case 0x52: case 0x53: case 0x56: *value = p[1]; return p + 2;
    case 0x60: *value = (uint32_t)(p[1] << 8 | p[2]); return p + 3;
    case 0x70: *value = read_u32(p + 1); return p + 5;
    default: fail("an AMQP field of type %02x was not expected", *p);
  }
  return end;
}

static void take_flow(struct connection *c, const unsigned char *p, const unsigned char *end) {
  uint32_t field[7];
  for (int i = 0; i < 7; i++) p = read_number(p, end, &field[i], i == 5 ? 0 : UINT32_MAX);
  /* next-incoming-id, incoming-window, next-outgoing-id, outgoing-window, handle, delivery-count, link-credit */
  if (field[4] == UINT32_MAX || field[6] == UINT32_MAX) return;
  c->credit = (int32_t)(field[5] + field[6] - c->sent);
}

static long take_amqp(struct connection *c) {
  if (c->in_length < 8) return 0;
  if (memcmp(c->in, "AMQP", 4) == 0) return 8;
  size_t size = read_u32(c->in);
  if (size < 8 || size > sizeof c->in) fail("an AMQP frame of %zu bytes", size);
  if (c->in_length < size) return 0;
  if (size == 8) return 8;
  const unsigned char *p = c->in + 4 * c->in[4], *end = c->in + size;
  if (p[0] != 0 || p[1] != 0x53) fail("an AMQP performative was expected");
  uint32_t code = p[2];
  p += 3;
  if (*p == 0xc0) p += 3;
  else if (*p == 0xd0) p += 9;
  else p += 1;
  if (code == 0x18 || code == 0x16 || code == 0x17) unexpected(c, "performative", code);
  if (code == 0x13) take_flow(c, p, end);
  if (code == 0x15) {
    uint32_t role, first, last;
    p = read_number(p, end, &role, 0);
    p = read_number(p, end, &first, 0);
    p = read_number(p, end, &last, first);
    answered(c, last - first + 1);
  } else if (c->step < setup_steps(c) && code == expected(c)) {
    if (step_done(c)) return -1;
  } else if (code == 0x13 && c->step >= setup_steps(c) && options.mode == STREAM) fill_window(c);
  return (long)size;
}

static long take_byte(struct connection *c) {
  if (c->in_length == 0) return 0;
  if (c->step < setup_steps(c) && step_done(c)) return -1;
  return 1;
}

static long take(struct connection *c) {
  switch (options.protocol) {
    case HTTP: return take_http(c);
    case MQTT: return take_mqtt(c);
    case AMQP: return take_amqp(c);
    default: return take_byte(c);
  }
}

/* Returns 1 when the connection was closed. */
static int take_all(struct connection *c) {
  while (c->in_length > 0) {
    long used = take(c);
    if (used < 0) return 1;
    if (used == 0) return 0;
    memmove(c->in, c->in + used, c->in_length - (size_t)used);
    c->in_length -= (size_t)used;
  }
  return 0;
}

static int wants_more(SSL *ssl, int result) {
  int error = SSL_get_error(ssl, result);
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static void flush(struct connection *c) {
  while (c->out_sent < c->out_length) {
    int written = SSL_write(c->ssl, c->out + c->out_sent, (int)(c->out_length - c->out_sent));
    if (written <= 0) {
      if (!wants_more(c->ssl, written)) fail("the server closed a connection that was written to");
      watch(c, 1);
      return;
    }
    c->out_sent += (size_t)written;
  }
  watch(c, 0);
}

/* A step without words waits for what the server says by itself. */
static void begin(struct connection *c) {
  c->handshaken = 1;
  if (setup_steps(c) > 0) queue_step(c, &script_of(c)->step[0]);
  else setup_done(c);
}

static void serve(struct connection *c) {
  if (!c->handshaken) {
    int result = SSL_connect(c->ssl);
    if (result != 1) {
      if (!wants_more(c->ssl, result)) fail("TLS handshake: %s", ERR_reason_error_string(ERR_peek_last_error()));
      watch(c, SSL_get_error(c->ssl, result) == SSL_ERROR_WANT_WRITE);
      return;
    }
    begin(c);
  }
  for (;;) {
    int got = SSL_read(c->ssl, c->in + c->in_length, (int)(sizeof c->in - c->in_length));
    if (got <= 0) {
      if (!wants_more(c->ssl, got)) fail("the server closed the connection at step %d of %d", c->step, setup_steps(c));
      break;
    }
    c->in_length += (size_t)got;
    if (take_all(c)) return;
  }
  flush(c);
}

static void turn(int timeout) {
  struct epoll_event events[256];
  int count = epoll_wait(epoll_fd, events, 256, timeout);
  for (int i = 0; i < count; i++) {
    struct connection *c = events[i].data.ptr;
    if (c->fd >= 0) serve(c);
  }
}

static void run_for(double seconds) {
  uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
  while (now_ns() < end) turn(10);
}

/* Whoever started this reads the server's CPU at each mark, and answers with a line. */
static void mark(const char *name) {
  char line[16];
  printf("%s\n", name);
  fflush(stdout);
  if (fgets(line, sizeof line, stdin) == NULL) exit(0);
}

static enum protocol protocol_of(const char *name) {
  static const char *names[] = {"http", "mqtt", "amqp", "byte"};
  for (int i = 0; i < 4; i++)
    if (strcmp(name, names[i]) == 0) return (enum protocol)i;
  fail("no protocol %s", name);
  return HTTP;
}

static void read_options(int count, char **values) {
  for (int i = 1; i + 1 < count; i += 2) {
    const char *name = values[i], *value = values[i + 1];
    if (strcmp(name, "--host") == 0) options.host = value;
    else if (strcmp(name, "--name") == 0) options.name = value;
    else if (strcmp(name, "--ca") == 0) options.ca = value;
    else if (strcmp(name, "--identities") == 0) options.identities = value;
    else if (strcmp(name, "--port") == 0) options.port = atoi(value);
    else if (strcmp(name, "--connections") == 0) options.connections = atoi(value);
    else if (strcmp(name, "--window") == 0) options.window = atoi(value);
    else if (strcmp(name, "--warmup") == 0) options.warmup = atof(value);
    else if (strcmp(name, "--seconds") == 0) options.seconds = atof(value);
    else if (strcmp(name, "--protocol") == 0) options.protocol = protocol_of(value);
    else if (strcmp(name, "--mode") == 0) options.mode = strcmp(value, "stream") == 0 ? STREAM : strcmp(value, "hold") == 0 ? HOLD : CONNECT;
    else fail("no option %s", name);
  }
  if (options.identities == NULL || options.port == 0) fail("--identities and --port are needed");
  if (options.window > MAX_WINDOW) fail("a window of at most %d", MAX_WINDOW);
}

int main(int count, char **values) {
  read_options(count, values);
  load_identities(options.identities);
  epoll_fd = epoll_create1(0);
  connections = calloc((size_t)options.connections, sizeof *connections);
  mark("open");
  /* Sockets that are held are opened a few at a time: the backlog of the server is not what is measured. */
  for (int i = 0; i < options.connections; i++) {
    open_connection(&connections[i]);
    while (options.mode != CONNECT && ready_count < i - 20) turn(10);
  }
  while (options.mode != CONNECT && ready_count < options.connections) turn(10);
  run_for(options.warmup);
  mark("begin");
  double cpu = own_cpu();
  uint64_t began = now_ns();
  measuring = 1;
  run_for(options.seconds);
  measuring = 0;
  double elapsed = (double)(now_ns() - began) / 1e9;
  cpu = own_cpu() - cpu;
  mark("end");
  printf("{\"operations\":%llu,\"seconds\":%.6f,\"clientCpuSeconds\":%.6f,\"p50\":%.1f,\"p99\":%.1f}\n", (unsigned long long)operations, elapsed,
         cpu, percentile(0.5), percentile(0.99));
  fflush(stdout);
  /* What is still on its way is not waited for. */
  _exit(0);
}
