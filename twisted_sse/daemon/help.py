"""
The help of the daemon's command line: its options in groups, the most common first.
"""

from __future__ import annotations

__all__ = ["HELP"]

#: The text of C{--help}.  Each option has one line of at most 80 characters: C{*} if it may be
#: repeated, and its default at the end, in parentheses.
HELP = """
Show lines of a file, a command or standard input live in the browser, and
serve them as Server-Sent Events.

  {program} app.log                  then open http://localhost:8080/
  {program} -- ping localhost        the output of a command
  make 2>&1 | {program} --once -     a build, until it finishes
  {program} post                     curl -d hello http://localhost:8080/

Sources
  -s, --source [/PATH=]SPEC *     -, post, file:.., command:.., python:.., tick
      --format FORMAT             what a line is: text or events (text)
      --tail N                    lines a new client gets first (50)
      --history N                 lines kept for clients that reconnect (1000)
      --history-age SECONDS       drop kept lines older than this, or off (off)
      --once                      exit when the input ends or the command exits
      --once-wait SECONDS         wait for a first client then, or off (60)

Address
  -p, --port PORT                 TCP port on IPv4 (8080)
  -l, --listen ENDPOINT *         Twisted endpoint, such as tcp6:8080
      --admin ENDPOINT            serve /metrics, /healthz, /readyz only here
      --open                      open the page in a browser

Access
      --public                    let other machines read files, commands, stdin
      --auth SPEC *               ask for a password: file:PATH or another kind
      --allow-host NAME *         accept requests for this host name, too
      --origin ORIGIN *           let pages of this origin read events (CORS)
      --credentials               let those pages send cookies
      --allow-headers NAMES *     request headers those pages may send
      --expose-headers NAMES *    response headers those pages may read
      --embed ORIGIN *            let pages of this origin show the live page
      --trusted-proxy NETWORK *   believe X-Forwarded-For from here

Clients
      --max-streams N             clients at once (as many as open files allow)
      --max-streams-per-address N clients at once per address (no limit)
      --max-pending BYTES         buffer per client (1048576)
      --max-pending-total BYTES   buffer of all clients together (268435456)
      --slow POLICY               disconnect, drop-oldest or latest (disconnect)
      --stall-timeout SECONDS     drop a client that reads nothing, or off (60)
      --heartbeat SECONDS         comment after silence, or off (15)
      --retry MS                  how long clients wait to reconnect (3000)
      --request-timeout SECONDS   time to send a whole request, or off (30)
      --max-connections N         connections without a request (by open files)
      --max-connections-per-address N  the same per address (half of them)

Operation
      --access-log FILE           log each stream, or - for standard output
      --access-log-format FORMAT  combined or json (combined)
      --log-format FORMAT         text or json (text)
      --drain SECONDS             grace period for streams on shutdown (5)
      --drain-delay SECONDS       stay up, but not ready, before draining (0)
      --processes N               processes that serve clients (1)

Posted events, and a store
      --publish-token file:PATH * tokens of those who may post from elsewhere
      --store WHERE               keep events in a file, or redis://HOST
      --store-events N            kept per source (100000; Redis 10000)
      --store-age SECONDS         drop stored events after this, or off (off)
      --store-sync                wait for the disk: a power cut loses nothing

Mercure hub
      --mercure                   a hub at /.well-known/mercure
      --anonymous                 subscribe without a token to public updates
      --publisher-jwt-key KEY     key of 0.x publishers: file:PATH, secret, PEM
      --publisher-jwt-alg NAME    its algorithm (the usual one for the key)
      --subscriber-jwt-key KEY    key of 0.x subscribers: file:PATH, secret, PEM
      --subscriber-jwt-alg NAME   its algorithm (the usual one for the key)
      --jwks WHERE                JWK set instead of keys: its URL or file:PATH
      --trusted-issuer ISSUER=KEY *  issuer of 1.0 tokens, and its keys
      --resource-identifier NAME  what the aud of 1.0 tokens must contain
      --publish-origin ORIGIN *   let pages of this origin publish, by cookie
      --cookie-name VERSION=NAME *  another name of the cookie with a token
      --mercure-protocol VERSIONS  0.x, 1.0 or 0.x,1.0 (0.x,1.0)
      --max-lifetime SECONDS      end each stream after this time, or off (off)
      --presence                  report who subscribes and who leaves
      --explain                   tell clients why they are refused
      --unauthorized              0.x: answer 401 if a topic is not granted

python: sources
      --open-timeout SECONDS      answer 503 if nothing happens, or off (30)
      --close-timeout SECONDS     time for cleanup when a client leaves (5)

tick source (the default, for trying things out)
  -i, --interval SECONDS          time between events (2)
  -e, --event TYPE                event type, empty for none (message)
  -d, --data TEXT                 data (hello)
      --id ID                     ID, empty for none (1)

      --help  --version  --help-auth  --help-auth-type TYPE

Exit status: 0, or 64 for a wrong option.
"""
