"""The words by which columns about people are told from columns about places."""

from __future__ import annotations

import re

PHONE_HEADER = re.compile(r"(^|_)(hp|no_hp|telp|telepon|phone|handphone|ponsel|wa|whatsapp|mobile)($|_)|nohp")
PERSON_HEADER = re.compile(
    r"nama_?(lengkap|penerima|pemohon|kepala|krt|art|ibu|ayah|istri|suami|anak|warga|pemilik|responden|"
    r"pendamping|petugas|pasien|siswa|korban|kk|kpm|pengurus|penduduk|orang|pengguna|gadis|pelapor)|"
    r"^(penerima|penerima_manfaat|kepala_keluarga|pemilik|responden|full_?name|first_?name|last_?name|"
    r"person_?name|krt|kpm)$"
)
NAME_HEADER = re.compile(r"nama|name|nm|nama_1|nama_2")
HOME_HEADER = re.compile(
    r"alamat_?(rumah|ktp|domisili|tinggal|krt|kk|penerima|keluarga|kpm|pemohon|asal)|"
    r"tempat_tinggal|home_?address"
)
SECRET_HEADER = re.compile(
    r"(^|_)(tgl_lahir|tanggal_lahir|tempat_lahir|birth_?date|date_of_birth|dob|ibu_kandung|no_rek|"
    r"no_rekening|nomor_rekening|rekening_penerima|id_pelanggan_pln|no_kks|nomor_kks|npwp|no_paspor|"
    r"sidik_jari|nik|nomor_induk_kependudukan|nik_\w+|no_kk|nomor_kk|nomor_kartu_keluarga)$"
)
HOUSEHOLD = re.compile(
    r"id_?keluarga|id_?krt|id_?art|id_?dtks|id_?bdt|idbdt|id_?dtsen|no_?kk|nik(_\w+)?|nama_?krt|"
    r"kepala_keluarga|nama_kepala_keluarga|id_?rumah_?tangga|no_?urut_?ruta|id_?ruta|"
    r"desil(_nasional|_provinsi|_kabupaten_kota)?|jumlah_art|jml_art|penghasilan(_keluarga)?|"
    r"pengeluaran(_keluarga)?|status_kks|pbi_nas|pbi_pemda|penyandang_disabilitas|penyakit_kronis|id_kpm"
)
POSITION = re.compile(
    r"(lat|latitude|lintang|long?|lng|longitude|bujur|koordinat|lokasi|geotag|titik|coordinates?)"
    r"(_\w+)?"
)
PERSON_SHAPE = re.compile(r"(?=.{3,60}$)[^\W\d_](?:[^\W\d_]|[ .,'’`-])*")
"""Letters, blanks and what titles and names are written with: no digits, no slashes."""
GIVEN = re.compile(
    r"(?i)\b(muhamm?ad|mohamm?ad|moch|muh|m[ou]hd|ahmad|achmad|abdul|abdurrahman|agus|ade|adi|aditya|andi|"
    r"anita|ani|asep|bambang|budi|cecep|dadang|darmawan|dede|dedi|desi|dewi|dian|dina|dwi|edi|eka|eko|"
    r"endang|entin|euis|fatimah|fitri|fitriani|hadi|handayani|hartono|hasan|hendra|heri|herman|ibrahim|"
    r"ika|imas|indra|ismail|iwan|joko|kartini|kurniawan|lilis|lina|maman|maria|maryam|mulyadi|"
    r"mulyani|nani|neneng|nining|novi|nur|nurhayati|nuraini|putra|putri|rahman|rahmat|rani|ratna|rina|rini|"
    r"riska|rizki|rizky|rohani|rudi|rukmini|santoso|saputra|setiawan|siti|slamet|suharto|sukarno|"
    r"sulastri|sumarni|sunarto|supriyadi|suryadi|susanti|susilawati|sutrisno|syahrul|titin|ujang|umar|"
    r"utami|wahyu|wahyudi|wati|wawan|widodo|wulan|yanti|yanto|yayan|yudi|yuni|yusuf|zainal|wahyuni|hidayat|nugroho|prasetyo|wijaya|permana|"
    r"gunawan|firmansyah|hermawan|suryani|yuliani|yulianti|mariana|aisyah|khadijah|nurul|aminah|halimah|"
    r"rizal|arif|arief|irfan|ilham|fauzi|samsudin|syamsudin|mustofa|mustafa|sutini|suparman|sukirman|parjo|"
    r"wayan|ketut|nyoman|kadek|komang|putu|simanjuntak|nasution|siregar|hutagalung|pangaribuan)\b"
)
PLACE = re.compile(
    r"(?i)\b(desa|kelurahan|kecamatan|kabupaten|kota|provinsi|kab|kec|kel|puskesmas|pustu|posyandu|klinik|"
    r"rumah sakit|rsud?|sd|sdn|smp|smpn|sma|sman|smk|mi|mts|ma|tk|paud|sekolah|masjid|mushol+a|gereja|pura|"
    r"vihara|pasar|jalan|jln?|gang|kantor|balai|gedung|gudang|terminal|stasiun|bandara|pelabuhan|sungai|kali|"
    r"gunung|bukit|danau|waduk|pulau|pantai|teluk|tanjung|jembatan|lapangan|taman|stadion|pos|polsek|polres|"
    r"koramil|dinas|badan|lumbung|sentra|shelter|dusun|kampung|blok|perumahan|hotel|bank|spbu|makam|tpu)\b"
)
