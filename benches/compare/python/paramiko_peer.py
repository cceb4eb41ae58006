"""paramiko, as it comes."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import paramiko
from driver import (
    ENDLESS, IDLE, NOTHING, PIECE, SINK, STALLED, TARGET,
    beside, files_of, require, serve, source,
)


def connect(port):
    client = paramiko.SSHClient()
    client.load_host_keys(TARGET["known_hosts"])
    client.connect(
        "127.0.0.1",
        port,
        username=TARGET["user"],
        key_filename=TARGET["client_key"],
        allow_agent=False,
        look_for_keys=False,
    )
    return client


class Peer:
    def __init__(self):
        self.client = None
        self.files = None
        self.more = []
        self.children = []

    def open(self, port):
        self.client = connect(port)

    def close(self):
        self.children.clear()
        self.files = None
        for client in [*self.more, self.client]:
            client.close()
        self.more.clear()

    def sftp(self):
        # Kept, as rmux keeps its own.
        if self.files is None:
            self.files = self.client.open_sftp()
        return self.files

    def start(self, line):
        channel = self.client.get_transport().open_session()
        channel.exec_command(line)
        return channel

    def cold(self, port):
        client = connect(port)
        _, stdout, _ = client.exec_command("echo up")
        require(stdout.channel.recv(1), "no output")
        # It would be closed as soon as nobody holds it.
        self.last = client

    def sessions(self, port, count):
        for _ in range(count):
            self.more.append(connect(port))

    def exec(self):
        _, stdout, _ = self.client.exec_command(NOTHING)
        stdout.read()
        require(stdout.channel.recv_exit_status() == 0, "it failed")

    def many(self, count):
        with ThreadPoolExecutor(count) as threads:
            for ended in [threads.submit(self.exec) for _ in range(count)]:
                ended.result()

    def down(self, bytes):
        channel = self.start(source(bytes))
        length = 0
        while piece := channel.recv(PIECE):
            length += len(piece)
        channel.recv_exit_status()
        require(length == bytes, f"{length} bytes of {bytes}")

    def up(self, bytes):
        channel = self.start(SINK)
        piece = b"\0" * PIECE
        for _ in range(bytes // PIECE):
            channel.sendall(piece)
        channel.shutdown_write()
        channel.recv_exit_status()

    def channels(self, count):
        for _ in range(count):
            self.children.append(self.start(IDLE))

    def stall(self):
        self.children.append(self.start(STALLED))

    def busy(self):
        channel = self.start(ENDLESS)
        self.children.append(channel)

        def drain():
            while channel.recv(PIECE):
                pass

        threading.Thread(target=drain, daemon=True).start()

    def put(self, local, remote):
        self.sftp().put(local, remote)

    def get(self, remote, local):
        self.sftp().get(remote, local)

    def put_tree(self, local, remote):
        # It has nothing for trees: what its users write.
        self.sftp().mkdir(remote)
        self.put_each(local, remote)

    def get_tree(self, remote, local):
        os.mkdir(local)
        for name in self.sftp().listdir(remote):
            self.get(os.path.join(remote, name), os.path.join(local, name))

    def put_each(self, local, remote):
        for file in files_of(local):
            self.put(file, beside(file, remote))

    def get_each(self, remote, local):
        for file in files_of(local):
            self.get(beside(file, remote), file)

    def read(self, remote):
        with self.sftp().open(remote, "rb") as file:
            file.prefetch()
            file.read()


serve(Peer())
