%% Prints the peers behind an SRV name, a line each: target, port, address. Then what is at a URL, if one is given.
%% Arguments: name, URL.
main([Name | Urls]) ->
    [
        io:format("~s ~b ~s~n", [Target, Port, inet:ntoa(Address)])
     || {_, _, Port, Target} <- inet_res:lookup(Name, in, srv), Address <- inet_res:lookup(Target, in, a)
    ],
    [fetch(Url) || Url <- Urls].

fetch(Url) ->
    #{host := Host, port := Port} = uri_string:parse(Url),
    {ok, Socket} = gen_tcp:connect(Host, Port, [{active, false}]),
    ok = gen_tcp:send(Socket, ["GET / HTTP/1.0\r\n\r\n"]),
    io:format("~s~n", [read(Socket, [])]).

read(Socket, Read) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, More} -> read(Socket, [Read, More]);
        {error, closed} -> Read
    end.
