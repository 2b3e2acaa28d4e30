"""Metadata records generated for tests, with switches for the flaws that real nodes have."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.sax.saxutils import escape

GMD = (
    'xmlns:gmd="http://www.isotc211.org/2005/gmd" xmlns:gco="http://www.isotc211.org/2005/gco" '
    'xmlns:gml="{gml}" xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:gmx="http://www.isotc211.org/2005/gmx"'
)
MDB = (
    'xmlns:mdb="http://standards.iso.org/iso/19115/-3/mdb/2.0" '
    'xmlns:mcc="http://standards.iso.org/iso/19115/-3/mcc/1.0" '
    'xmlns:mri="http://standards.iso.org/iso/19115/-3/mri/1.0" '
    'xmlns:cit="http://standards.iso.org/iso/19115/-3/cit/2.0" '
    'xmlns:lan="http://standards.iso.org/iso/19115/-3/lan/1.0" '
    'xmlns:gex="http://standards.iso.org/iso/19115/-3/gex/1.0" '
    'xmlns:mco="http://standards.iso.org/iso/19115/-3/mco/1.0" '
    'xmlns:mmi="http://standards.iso.org/iso/19115/-3/mmi/1.0" '
    'xmlns:mrs="http://standards.iso.org/iso/19115/-3/mrs/1.0" '
    'xmlns:mrl="http://standards.iso.org/iso/19115/-3/mrl/2.0" '
    'xmlns:mrd="http://standards.iso.org/iso/19115/-3/mrd/1.0" '
    'xmlns:gco="http://standards.iso.org/iso/19115/-3/gco/1.0" '
    'xmlns:gml="http://www.opengis.net/gml/3.2"'
)


@dataclass
class Rec:
    """What a generated record says."""

    identifier: str = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
    title: str = "Batas Desa Kabupaten Cianjur"
    abstract: str = "Batas wilayah administrasi desa (data uji, dibangkitkan)"
    organisation: str = "Badan Informasi Geospasial"
    bbox: tuple[str, str, str, str] = ("106.77", "-7.51", "107.48", "-6.60")
    links: list[tuple[str, str, str]] = field(default_factory=list)
    keywords: tuple[str, ...] = ("batas", "desa")
    date: str = "2023-09-28"
    palapa: bool = False


def _cs(value: str) -> str:
    return f"<gco:CharacterString>{escape(value)}</gco:CharacterString>"


def _online(links: list[tuple[str, str, str]], p: str, url: str) -> str:
    return "".join(
        f"<{p}:onLine><{{0}}:CI_OnlineResource><{{0}}:linkage>{url.format(escape(href))}</{{0}}:linkage>"
        f"<{{0}}:protocol>{_cs(protocol)}</{{0}}:protocol><{{0}}:name>{_cs(name)}</{{0}}:name>"
        f"</{{0}}:CI_OnlineResource></{p}:onLine>"
        for protocol, name, href in links
    )


def _code(p: str, name: str, value: str) -> str:
    return (
        f'<{p}:{name} codeList="http://x/codelists.xml#{name}" codeListValue="{value}">{value}</{p}:{name}>'
    )


def gmd(rec: Rec) -> bytes:
    """ISO 19139; `palapa` gives it every flaw of the Palapa template."""
    west, south, east, north = rec.bbox
    classification = "MD_ClassClassificationCode" if rec.palapa else "MD_ClassificationCode"
    crs = "urn:ogc:def:crs:EPSG:4326" if rec.palapa else "http://www.opengis.net/def/crs/EPSG/0/4326"
    format_name = "ESRI Shapefile" if rec.palapa else _cs("ESRI Shapefile")
    if rec.palapa:
        format_name = ""
    published = "2007-09-01" if rec.palapa else rec.date
    times = ("", "") if rec.palapa else ("2023-01-01", "2023-12-31")
    note = "Dibuat oleh GSPalapa" if rec.palapa else "Pembaruan tahunan"
    dates = f"""<gmd:date><gmd:CI_Date><gmd:date><gco:Date>{published}</gco:Date></gmd:date>
      <gmd:dateType>{_code("gmd", "CI_DateTypeCode", "publication")}</gmd:dateType></gmd:CI_Date>
    </gmd:date>"""
    words = "".join(f"<gmd:keyword>{_cs(word)}</gmd:keyword>" for word in rec.keywords)
    online = _online(rec.links, "gmd", "<gmd:URL>{}</gmd:URL>").replace("{0}", "gmd")
    party = f"""<gmd:CI_ResponsibleParty><gmd:individualName>{_cs("Orang Rekaan")}</gmd:individualName>
      <gmd:organisationName>{_cs(rec.organisation)}</gmd:organisationName><gmd:contactInfo><gmd:CI_Contact>
      <gmd:phone><gmd:CI_Telephone><gmd:voice>{_cs("021-0000000")}</gmd:voice></gmd:CI_Telephone></gmd:phone>
      <gmd:address><gmd:CI_Address><gmd:city>{_cs("Cibinong")}</gmd:city>
      <gmd:electronicMailAddress>{_cs("info@example.go.id")}</gmd:electronicMailAddress></gmd:CI_Address>
      </gmd:address></gmd:CI_Contact></gmd:contactInfo>
      <gmd:role>{_code("gmd", "CI_RoleCode", "owner")}</gmd:role></gmd:CI_ResponsibleParty>"""
    gml = "http://www.opengis.net/gml" if rec.palapa else "http://www.opengis.net/gml/3.2"
    text = f"""<?xml version="1.0" encoding="UTF-8"?>
<gmd:MD_Metadata {GMD.format(gml=gml)}>
 <gmd:fileIdentifier>{_cs(rec.identifier)}</gmd:fileIdentifier>
 <gmd:language>{_code("gmd", "LanguageCode", "ind")}</gmd:language>
 <gmd:hierarchyLevel>{_code("gmd", "MD_ScopeCode", "dataset")}</gmd:hierarchyLevel>
 <gmd:contact>{party}</gmd:contact>
 <gmd:dateStamp><gco:Date>{rec.date}</gco:Date></gmd:dateStamp>
 <gmd:metadataStandardName>{_cs("SNI ISO 19115-3:2019")}</gmd:metadataStandardName>
 <gmd:metadataStandardVersion>{_cs("SNI 8843-1:2019")}</gmd:metadataStandardVersion>
 <gmd:referenceSystemInfo><gmd:MD_ReferenceSystem><gmd:referenceSystemIdentifier><gmd:RS_Identifier>
  <gmd:code>{_cs(crs)}</gmd:code></gmd:RS_Identifier></gmd:referenceSystemIdentifier></gmd:MD_ReferenceSystem>
 </gmd:referenceSystemInfo>
 <gmd:identificationInfo><gmd:MD_DataIdentification>
  <gmd:citation><gmd:CI_Citation><gmd:title>{_cs(rec.title)}</gmd:title>{dates}</gmd:CI_Citation></gmd:citation>
  <gmd:abstract>{_cs(rec.abstract)}</gmd:abstract>
  <gmd:purpose>{_cs("Tidak Ada" if rec.palapa else "Perencanaan")}</gmd:purpose>
  <gmd:pointOfContact>{party}</gmd:pointOfContact>
  <gmd:resourceMaintenance><gmd:MD_MaintenanceInformation><gmd:maintenanceAndUpdateFrequency>
   {_code("gmd", "MD_MaintenanceFrequencyCode", "annually")}</gmd:maintenanceAndUpdateFrequency>
  </gmd:MD_MaintenanceInformation></gmd:resourceMaintenance>
  <gmd:descriptiveKeywords><gmd:MD_Keywords>{words}</gmd:MD_Keywords></gmd:descriptiveKeywords>
  <gmd:resourceConstraints><gmd:MD_SecurityConstraints><gmd:classification>
   {_code("gmd", classification, "unclassified")}</gmd:classification></gmd:MD_SecurityConstraints>
  </gmd:resourceConstraints>
  <gmd:resourceConstraints><gmd:MD_LegalConstraints><gmd:useLimitation>{_cs("CC-BY 4.0")}</gmd:useLimitation>
  </gmd:MD_LegalConstraints></gmd:resourceConstraints>
  <gmd:spatialResolution><gmd:MD_Resolution><gmd:equivalentScale><gmd:MD_RepresentativeFraction>
   <gmd:denominator><gco:Integer>10000</gco:Integer></gmd:denominator></gmd:MD_RepresentativeFraction>
  </gmd:equivalentScale></gmd:MD_Resolution></gmd:spatialResolution>
  <gmd:topicCategory><gmd:MD_TopicCategoryCode>boundaries</gmd:MD_TopicCategoryCode></gmd:topicCategory>
  <gmd:extent><gmd:EX_Extent><gmd:description>{_cs("Kabupaten Cianjur")}</gmd:description>
   <gmd:geographicElement><gmd:EX_GeographicBoundingBox>
    <gmd:westBoundLongitude><gco:Decimal>{west}</gco:Decimal></gmd:westBoundLongitude>
    <gmd:eastBoundLongitude><gco:Decimal>{east}</gco:Decimal></gmd:eastBoundLongitude>
    <gmd:southBoundLatitude><gco:Decimal>{south}</gco:Decimal></gmd:southBoundLatitude>
    <gmd:northBoundLatitude><gco:Decimal>{north}</gco:Decimal></gmd:northBoundLatitude>
   </gmd:EX_GeographicBoundingBox></gmd:geographicElement>
   <gmd:temporalElement><gmd:EX_TemporalExtent><gmd:extent><gml:TimePeriod gml:id="T1">
    <gml:beginPosition>{times[0]}</gml:beginPosition><gml:endPosition>{times[1]}</gml:endPosition>
   </gml:TimePeriod></gmd:extent></gmd:EX_TemporalExtent></gmd:temporalElement>
  </gmd:EX_Extent></gmd:extent>
 </gmd:MD_DataIdentification></gmd:identificationInfo>
 <gmd:distributionInfo><gmd:MD_Distribution><gmd:distributionFormat><gmd:MD_Format>
   <gmd:name>{format_name}</gmd:name></gmd:MD_Format></gmd:distributionFormat>
  <gmd:transferOptions><gmd:MD_DigitalTransferOptions>{online}</gmd:MD_DigitalTransferOptions>
  </gmd:transferOptions></gmd:MD_Distribution></gmd:distributionInfo>
 <gmd:dataQualityInfo><gmd:DQ_DataQuality><gmd:lineage><gmd:LI_Lineage>
  <gmd:statement>{_cs("Peta RBI skala 1:10.000")}</gmd:statement><gmd:processStep><gmd:LI_ProcessStep>
  <gmd:description>{_cs("Digitasi")}</gmd:description></gmd:LI_ProcessStep></gmd:processStep>
 </gmd:LI_Lineage></gmd:lineage></gmd:DQ_DataQuality></gmd:dataQualityInfo>
 <gmd:metadataMaintenance><gmd:MD_MaintenanceInformation><gmd:maintenanceNote>{_cs(note)}</gmd:maintenanceNote>
 </gmd:MD_MaintenanceInformation></gmd:metadataMaintenance>
</gmd:MD_Metadata>"""
    return text.encode()


def mdb(rec: Rec, *, service: str = "", version: str = "1.0") -> bytes:
    """ISO 19115-3 as BIG's ArcGIS tool writes it: no distribution unless links are given."""
    west, south, east, north = rec.bbox
    words = "".join(f"<mri:keyword>{_cs(word)}</mri:keyword>" for word in rec.keywords)
    online = _online(rec.links, "mrd", "<gco:CharacterString>{}</gco:CharacterString>").replace("{0}", "cit")
    distribution = f"""<mdb:distributionInfo><mrd:MD_Distribution><mrd:transferOptions>
      <mrd:MD_DigitalTransferOptions>{online}</mrd:MD_DigitalTransferOptions></mrd:transferOptions>
      </mrd:MD_Distribution></mdb:distributionInfo>"""
    identifier = f"""<cit:identifier><mcc:MD_Identifier><mcc:code>{_cs(service)}</mcc:code>
      </mcc:MD_Identifier></cit:identifier>"""
    party = f"""<cit:CI_Responsibility><cit:role>{_code("cit", "CI_RoleCode", "owner")}</cit:role><cit:party>
      <cit:CI_Organisation><cit:name>{_cs(rec.organisation)}</cit:name><cit:contactInfo><cit:CI_Contact>
      <cit:phone><cit:CI_Telephone><cit:number>{_cs("021-0000000")}</cit:number></cit:CI_Telephone></cit:phone>
      <cit:address><cit:CI_Address><cit:city>{_cs("Cibinong")}</cit:city><cit:electronicMailAddress>
      {_cs("info@example.go.id")}</cit:electronicMailAddress></cit:CI_Address></cit:address></cit:CI_Contact>
      </cit:contactInfo><cit:individual><cit:CI_Individual><cit:name>{_cs("Orang Rekaan")}</cit:name>
      </cit:CI_Individual></cit:individual></cit:CI_Organisation></cit:party></cit:CI_Responsibility>"""
    text = f"""<?xml version="1.0" encoding="UTF-8"?>
<mdb:MD_Metadata {MDB.replace("mri/1.0", f"mri/{version}")}>
 <mdb:metadataIdentifier><mcc:MD_Identifier><mcc:code>{_cs(rec.identifier)}</mcc:code></mcc:MD_Identifier>
 </mdb:metadataIdentifier>
 <mdb:defaultLocale><lan:PT_Locale><lan:language>{_code("lan", "LanguageCode", "ind")}</lan:language>
 </lan:PT_Locale></mdb:defaultLocale>
 <mdb:parentMetadata uuidref="RBI5KINDONESIA2015"/>
 <mdb:metadataScope><mdb:MD_MetadataScope><mdb:resourceScope>{_code("mcc", "MD_ScopeCode", "dataset")}
 </mdb:resourceScope></mdb:MD_MetadataScope></mdb:metadataScope>
 <mdb:contact>{party}</mdb:contact>
 <mdb:dateInfo><cit:CI_Date><cit:date><gco:DateTime>{rec.date}T03:04:05</gco:DateTime></cit:date>
  <cit:dateType>{_code("cit", "CI_DateTypeCode", "revision")}</cit:dateType></cit:CI_Date></mdb:dateInfo>
 <mdb:metadataStandard><cit:CI_Citation><cit:title>{_cs("ISO 19115-3 Geographic Information")}</cit:title>
 </cit:CI_Citation></mdb:metadataStandard>
 <mdb:referenceSystemInfo><mrs:MD_ReferenceSystem><mrs:referenceSystemIdentifier><mcc:MD_Identifier>
  <mcc:code>{_cs("4326")}</mcc:code><mcc:codeSpace>{_cs("EPSG")}</mcc:codeSpace></mcc:MD_Identifier>
 </mrs:referenceSystemIdentifier></mrs:MD_ReferenceSystem></mdb:referenceSystemInfo>
 <mdb:identificationInfo><mri:MD_DataIdentification>
  <mri:citation><cit:CI_Citation><cit:title>{_cs(rec.title)}</cit:title>
   <cit:date><cit:CI_Date><cit:date><gco:Date>2015-06-01</gco:Date></cit:date>
   <cit:dateType>{_code("cit", "CI_DateTypeCode", "creation")}</cit:dateType></cit:CI_Date></cit:date>
   {identifier if service else ""}</cit:CI_Citation></mri:citation>
  <mri:abstract>{_cs(rec.abstract)}</mri:abstract>
  <mri:spatialResolution><mri:MD_Resolution><mri:equivalentScale><mri:MD_RepresentativeFraction>
   <mri:denominator><gco:Integer>5000</gco:Integer></mri:denominator></mri:MD_RepresentativeFraction>
  </mri:equivalentScale></mri:MD_Resolution></mri:spatialResolution>
  <mri:topicCategory><mri:MD_TopicCategoryCode>boundaries</mri:MD_TopicCategoryCode></mri:topicCategory>
  <mri:extent><gex:EX_Extent><gex:description>{_cs("Kabupaten Cianjur")}</gex:description>
   <gex:geographicElement><gex:EX_GeographicBoundingBox>
    <gex:westBoundLongitude><gco:Decimal>{west}</gco:Decimal></gex:westBoundLongitude>
    <gex:eastBoundLongitude><gco:Decimal>{east}</gco:Decimal></gex:eastBoundLongitude>
    <gex:southBoundLatitude><gco:Decimal>{south}</gco:Decimal></gex:southBoundLatitude>
    <gex:northBoundLatitude><gco:Decimal>{north}</gco:Decimal></gex:northBoundLatitude>
   </gex:EX_GeographicBoundingBox></gex:geographicElement></gex:EX_Extent></mri:extent>
  <mri:descriptiveKeywords><mri:MD_Keywords>{words}</mri:MD_Keywords></mri:descriptiveKeywords>
  <mri:resourceConstraints><mco:MD_SecurityConstraints><mco:classification>
   {_code("mco", "MD_ClassificationCode", "unclassified")}</mco:classification></mco:MD_SecurityConstraints>
  </mri:resourceConstraints>
 </mri:MD_DataIdentification></mdb:identificationInfo>
 {distribution if rec.links else ""}
</mdb:MD_Metadata>"""
    return text.encode()
