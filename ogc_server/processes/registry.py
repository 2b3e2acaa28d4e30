"""The processes in one table, in the order in which they are listed; each stands in a module of its own."""

from __future__ import annotations

from ogc_server.processes import (
    agregasi,
    alokasi_bantuan,
    bantuan_terdekat,
    rekonsiliasi,
    respons_cepat,
    statistik_zonal,
    verifikasi_lokasi,
    wilayah_terdampak,
)
from ogc_server.processes.definition import Process
from ogc_server.processes.errors import NoSuchProcessError

_ALL = (
    verifikasi_lokasi.PROCESS,
    wilayah_terdampak.PROCESS,
    bantuan_terdekat.PROCESS,
    alokasi_bantuan.PROCESS,
    rekonsiliasi.PROCESS,
    agregasi.PROCESS,
    statistik_zonal.PROCESS,
    respons_cepat.PROCESS,
)
PROCESSES = {process.id: process for process in _ALL}


def find(process_id: str) -> Process:
    """Return a process; NoSuchProcessError when there is none of this id."""
    found = PROCESSES.get(process_id)
    if found is None:
        raise NoSuchProcessError
    return found
